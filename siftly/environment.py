"""The environment, read once. A bad value never raises here: all of them are collected, and
`siftly.checks.settings` reports them by name, together, in `manage.py check` and at start."""

import json
import os
import re
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import dj_email_url
import redis
from environs import Env, EnvError, EnvValidationError

from siftly.databases import database

BASE_DIR = Path(__file__).resolve().parent.parent
_REDIS_DATABASE = re.compile("/?|/[0-9]{1,5}/?")  # redis-py takes anything else for 0

env = Env(eager=False)
# A file of the developer's own, never in production; ENV_FILE names another one (tests: none).
env.read_env(os.environ.get("ENV_FILE", str(BASE_DIR / ".env")), recurse=False)

# Dashboards and .env files leave variables empty that nobody filled in: empty means not set.
for _name in [name for name, value in os.environ.items() if not value.strip()]:
    del os.environ[_name]


@env.parser_for("database")
def _database(url: str | None) -> Any:
    if url is None:
        return None
    try:
        return database(url)
    except ValueError as error:
        # The library's own sentence may quote the address, and with it the password.
        raise EnvError("Not a database address such as postgres://user:…@host/name.") from error


@env.parser_for("address")
def _address(url: str | None, schemes: tuple[str, ...]) -> str | None:
    if url is None:
        return None
    expected = f"Not an address that starts with {' or '.join(s + '://' for s in schemes)}."
    try:
        parts = urlsplit(url)
        _ = parts.port  # a property that raises ValueError
    except ValueError:
        raise EnvError(expected) from None
    place = parts.path.strip("/") if parts.scheme == "unix" else parts.hostname
    if parts.scheme not in schemes or not place:
        raise EnvError(expected)
    return url


@env.parser_for("redis")
def _redis(url: str | None) -> str | None:
    address = _address(url, ("redis", "rediss", "unix"))
    if address is None:
        return None
    if urlsplit(address).scheme != "unix" and not _REDIS_DATABASE.fullmatch(urlsplit(address).path):
        raise EnvError("What stands behind the host is no database number, such as /0.")
    try:
        redis.ConnectionPool.from_url(address).make_connection()  # connects to nothing yet
    except (ValueError, TypeError):
        raise EnvError("An option behind the ? is not known to redis-py, or malformed.") from None
    return str(address)


@env.parser_for("dsn")
def _dsn(url: str | None) -> str | None:
    """https://docs.sentry.io/concepts/key-terms/dsn-explainer/"""
    address = _address(url, ("https", "http"))
    if address is None:
        return None
    parts = urlsplit(address)
    if not parts.username or not parts.path.rpartition("/")[2].isdigit():
        raise EnvError("Not a DSN such as https://…@….ingest.sentry.io/1.")
    return str(address)


@env.parser_for("email")
def _email(url: str | None) -> dict[str, Any]:
    """Django's EMAIL_… settings."""
    if url is None:
        return {}
    _address(url, ("smtp", "submission"))
    try:
        return dict(dj_email_url.parse(url))
    except ValueError:
        raise EnvError("Its timeout is no number of seconds.") from None


@env.parser_for("token")
def _token(text: str | None) -> str | None:
    if text is not None and not (text.isascii() and text.isprintable() and " " not in text):
        raise EnvError("Not a token: it holds a space, a line break or a letter that no token has.")
    return text


@env.parser_for("variables")
def _variables(text: str) -> dict[str, str]:
    try:
        variables = json.loads(text)
    except ValueError as error:
        raise EnvError(f"Not valid JSON: {error}.") from error
    if not isinstance(variables, dict):
        raise EnvError('Not a JSON object such as {"customer_name": "New Customer"}.')
    if not all(isinstance(value, str) for value in variables.values()):
        raise EnvError("Every value must be a string, in quotes.")
    return variables


def comma_separated(name: str) -> list[str]:
    """The parts of a comma-separated variable, without blanks and empty ones."""
    return [part.strip() for part in env.str(name, "").split(",") if part.strip()]


def origin_of(url: str | None) -> str:
    """`https://siftly.example.com` of an address there; empty without one."""
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def own_hosts(public_url: str | None, *others: str) -> list[str]:
    """This machine, the public address, and others."""
    public = urlsplit(public_url or "").hostname
    return ["localhost", "127.0.0.1", "[::1]", *([public] if public else []), *others]


def problems() -> dict[str, str]:
    """What is wrong, by variable. To be called once, after everything was read."""
    try:
        env.seal()
    except EnvValidationError as error:
        found = cast("dict[str, list[str]]", error.error_messages)
        return {name: " ".join(messages) for name, messages in found.items()}
    return {}
