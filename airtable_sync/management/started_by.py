"""Who or what has started a command."""

import getpass
import os
from collections.abc import Iterator
from pathlib import Path

CRON_DAEMONS = {"cron", "crond", "anacron", "cronie", "fcron", "supercronic"}
MOST_PARENTS = 20
USER_LENGTH = 150  # as in `models.Run`


def has_terminal() -> bool:
    """Whether a person has typed the command: cron and scripts have no terminal."""
    return any(os.isatty(stream) for stream in (0, 1, 2))


def login_name() -> str:
    """The name of the user at the terminal; "" if it is unknown."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError, ImportError):  # by Python's version
        return ""
    return name[:USER_LENGTH]


def is_below_cron() -> bool:
    """Whether a cron daemon has started this process (Linux). Elsewhere: `--trigger cron`."""
    return any(name.lower() in CRON_DAEMONS for name in _parents())


def _parents() -> Iterator[str]:
    """The names of the processes above this one, from /proc/PID/stat:
    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""
    process = os.getppid()
    for _ in range(MOST_PARENTS):
        try:
            before, _, after = Path(f"/proc/{process}/stat").read_text().rpartition(")")
        except (OSError, ValueError):
            return
        yield before.partition("(")[2]
        process = int(after.split()[1])
