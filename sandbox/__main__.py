"""`make run`: runs all of Siftly on this machine, with a stand-in for each part that the
environment does not name."""

import argparse
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from sandbox.closing_lines import Prepared, SampleNumbers, closing_lines, published_number
from sandbox.env_file import write_env_file
from sandbox.processes import stop
from sandbox.samples import DEFAULT_SAMPLE, SAMPLES, Sample
from sandbox.stand_ins import own_airtable, start_stand_ins
from siftly.closed_output import quiet_if_closed
from siftly.environment import BASE_DIR

RUN_DIR = Path(os.environ.get("RUN_DIR", BASE_DIR / ".run"))
READY_SECONDS = 60.0
READY_RESPONSES = 20  # in a row: each process answers for itself
STOP_SECONDS = 10.0


class CannotRun(Exception):
    """The message says why, and what to do."""

    def __init__(self, message: str, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status


def main() -> int:
    # SIGINT too, because a shell lets its background jobs ignore it.
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)  # the terminal was closed
    os.umask(0o077)  # the files in .run hold secrets
    try:
        sample = _sample(_arguments().parse_args().base)
        with contextlib.ExitStack() as stack:
            return _run(stack, sample)
    except CannotRun as error:
        print(f"make run: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description=__doc__, allow_abbrev=False
    )
    names = f"the sample data: {' or '.join(SAMPLES)} (default: %(default)s)"
    parser.add_argument("--base", default=DEFAULT_SAMPLE, help=names)
    return parser


def _sample(name: str) -> Sample:
    if name not in SAMPLES:
        raise CannotRun(f"there is no base {name!r}; use {' or '.join(SAMPLES)}.", exit_status=2)
    if name != DEFAULT_SAMPLE and (variables := own_airtable()):
        raise CannotRun(
            f"the base {name} is in the sandbox, but {' and '.join(variables)} in the environment "
            "or in .env would be used instead. Unset them, or leave BASE out."
        )
    return SAMPLES[name]


def _run(stack: contextlib.ExitStack, sample: Sample) -> int:
    """Everything that is started stops when `stack` is closed."""
    port = _port()
    RUN_DIR.mkdir(exist_ok=True, parents=True)
    variables = start_stand_ins(stack, RUN_DIR, sample)
    if os.environ.get("AIRTABLE_CHANGES") == "push" and not os.environ.get("PUBLIC_URL"):
        variables["PUBLIC_URL"] = f"http://127.0.0.1:{port}"  # for the sandbox's notifications
    os.environ.update(variables)
    prepared = _prepare(create_login="DATABASE_URL" in variables)
    write_env_file(RUN_DIR / "env", {**os.environ, "PORT": str(port)})
    stack.callback((RUN_DIR / "env").unlink, missing_ok=True)
    server = stack.enter_context(_serving(port))
    _wait_until_ready(server, port)
    base = SampleNumbers.of(sample) if "AIRTABLE_BASE_ID" in variables else None
    print(closing_lines(RUN_DIR, port, prepared, base), flush=True)
    return server.wait()


def _port() -> int:
    text = os.environ.get("PORT", "8000")
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise CannotRun(f"PORT={text} is not a port number.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(text)))
        except OSError as error:
            raise CannotRun(
                f"port {text} can't be used ({error.strerror}). Use another: PORT=8001 make run"
            ) from error
    return int(text)


def _prepare(*, create_login: bool) -> Prepared:
    """Migrate the database, create a login, and refresh the cache."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "siftly.settings")
    import django
    from django.core.management import CommandError, call_command

    django.setup()
    try:
        call_command("check")
        call_command("migrate", verbosity=0)
    except CommandError as error:
        raise CannotRun(str(error)) from error
    password = _create_login() if create_login else None
    problem = ""
    try:
        call_command("refresh_airtable_cache", trigger="make-run")
    except CommandError as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Ctrl-C stops all, not only this
            raise KeyboardInterrupt from error
        problem = str(error)
    return Prepared(password, problem, published_number())


def _create_login() -> str:
    from django.contrib.auth.models import User

    password = secrets.token_urlsafe(9)
    admin, _ = User.objects.get_or_create(
        username="admin", defaults={"is_staff": True, "is_superuser": True}
    )
    admin.set_password(password)
    admin.save()
    return password


@contextlib.contextmanager
def _serving(port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "gunicorn", "siftly.asgi", "--bind", f"127.0.0.1:{port}"]
    # In a process group of its own: Ctrl-C in the terminal ends this process, which then stops the
    # server before Redis and Airtable.
    server = subprocess.Popen(command, cwd=BASE_DIR, process_group=0)  # noqa: S603 - fixed command
    try:
        yield server
    finally:
        stop(server, STOP_SECONDS)


def _wait_until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    until, ready = time.monotonic() + READY_SECONDS, 0
    while ready < READY_RESPONSES:
        if server.poll() is not None:
            raise CannotRun("the server has exited. The lines above say why.")
        if time.monotonic() > until:
            raise CannotRun(f"the server was not ready within {READY_SECONDS:.0f} s.")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2)
            ready += 1
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)


if __name__ == "__main__":
    with quiet_if_closed():
        sys.exit(main())
