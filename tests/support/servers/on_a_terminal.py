"""Runs manage.py like a program in the foreground of a terminal. Standard error is the terminal.

As a command, with the arguments of manage.py: `python -m tests.support.servers.on_a_terminal …`"""

import os
import runpy
import signal
import sys


def main() -> None:
    os.dup2(sys.stderr.fileno(), sys.stdin.fileno())
    # A shell lets its background jobs ignore Ctrl-C, and their processes inherit that: so a test
    # run in the background would start a command that Ctrl-C can't end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv[0] = "manage.py"
    runpy.run_path("manage.py", run_name="__main__")


if __name__ == "__main__":
    main()
