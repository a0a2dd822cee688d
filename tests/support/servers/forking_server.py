"""A program that starts other Python programs by forking itself.

It has already imported the libraries, which take two of the three seconds of a start. It reads the
options of a program as a line of JSON, and writes a line when the program has started and when it
has ended. It imports no module of Siftly and no settings before the fork."""

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

# Without gunicorn, which reads the environment when it is imported.
LIBRARIES = (
    "dj_database_url",
    "django.core.handlers.asgi",
    "django.core.management.commands.shell",
    "django.db.migrations.executor",
    "django.template.defaulttags",
    "django_redis.cache",
    "environs",
    "h11",
    "interlock",
    "phonenumbers",
    "prometheus_client",
    "psycopg",
    "pyairtable.formulas",
    "redis.asyncio",
    "rich.progress",
    "sentry_sdk",
    "uvicorn.main",
    "uvicorn.protocols.http.h11_impl",
    "uvloop",
    "whitenoise.middleware",
)


def main() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # otherwise each forked process examines these objects when it ends
    run(wait_for_fork())


def wait_for_fork() -> Mapping[str, Any]:
    """Fork for each line of standard input. Return only in a forked process, with its options."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # its signal only ends `select`
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        selector.register(read_end, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj == read_end:
                    os.read(read_end, 1000)
                    report_ended_processes()
                elif not (line := sys.stdin.readline()):
                    os._exit(0)
                elif pid := os.fork():
                    report(started=pid)
                else:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    os.close(read_end)
                    os.close(write_end)
                    return dict(json.loads(line))


def report_ended_processes() -> None:
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            report(ended=ended[0], status=os.waitstatus_to_exitcode(ended[1]))
    except ChildProcessError:  # there are no processes
        return


def report(**event: int) -> None:
    sys.stdout.write(f"{json.dumps(event)}\n")
    sys.stdout.flush()


def run(options: Mapping[str, Any]) -> None:
    """Do what `python` does with these arguments, in this environment."""
    os.environ.clear()
    os.environ.update(options["env"])
    for descriptor, path in enumerate((os.devnull, options["stdout"], options["stderr"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    give_all_processes_the_same_priority()
    first, *others = options["arguments"]
    if first == "-m":
        sys.argv = others
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = options["arguments"]
        runpy.run_path(first, run_name="__main__")


def give_all_processes_the_same_priority() -> None:
    """A refresh in a child process only runs when others leave time for it: on a busy machine, a
    test that waits for it would wait for minutes."""
    for name in ("setpriority", "sched_setscheduler"):
        setattr(os, name, lambda *_: None)


if __name__ == "__main__":
    main()
