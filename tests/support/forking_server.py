"""A program that forks others, whose libraries are imported there already: they take two of three
seconds of a start. For each line that it reads, it forks one; it writes a line when one began, and
when one ended. Nothing that is ours, and no setting, has been read before the fork."""

import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import sys
from collections.abc import Mapping
from typing import Any

# Not gunicorn, which reads the environment when it is imported.
LIBRARIES = (
    "dj_database_url",
    "dj_email_url",
    "django.core.handlers.asgi",
    "django.core.management.commands.shell",
    "django.db.migrations.executor",
    "django.template.defaulttags",
    "django_redis.cache",
    "environs",
    "httptools",
    "interlock",
    "phonenumbers",
    "prometheus_client",
    "psycopg",
    "pyairtable.formulas",
    "redis.asyncio",
    "rich.progress",
    "sentry_sdk",
    "uvicorn.main",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
    "whitenoise.middleware",
)


def main() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # or else each would look through all of it again when it ends
    become(wanted())


def wanted() -> Mapping[str, Any]:
    """Forks for as long as it is told to. Returns in a forked process only, with what that one
    shall be."""
    hear, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # it only wakes
    with selectors.DefaultSelector() as waiting:
        waiting.register(sys.stdin, selectors.EVENT_READ)
        waiting.register(hear, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj == hear:
                    os.read(hear, 1000)
                    tell_who_ended()
                elif not (line := sys.stdin.readline()):
                    os._exit(0)
                elif pid := os.fork():
                    tell(began=pid)
                else:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    os.close(hear)
                    os.close(wake)
                    return dict(json.loads(line))


def tell_who_ended() -> None:
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            tell(ended=ended[0], status=os.waitstatus_to_exitcode(ended[1]))
    except ChildProcessError:  # there are none
        return


def tell(**what: int) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


def become(it: Mapping[str, Any]) -> None:
    """What `python` with these arguments would, started in this environment."""
    os.environ.clear()
    os.environ.update(it["env"])
    for descriptor, path in enumerate((os.devnull, it["stdout"], it["stderr"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    first, *others = it["arguments"]
    if first == "-m":
        sys.argv = others
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = it["arguments"]
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    main()
