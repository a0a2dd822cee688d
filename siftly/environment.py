"""Reads environment variables.

A wrong value does not raise an error here. `problems` collects all of them, and the system checks
in `siftly.checks.settings` report them together, by name. No message contains a value, because it
may be a secret."""

import json
import os
import re
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
from environs import Env, EnvError, EnvValidationError

from siftly.databases import database_from_url

BASE_DIR = Path(__file__).resolve().parent.parent
SHIPPED_MAPPINGS = ("siftly", "flat")
_REDIS_PATH = re.compile("/?|/[0-9]{1,5}/?")  # redis-py uses database 0 for any other path
_BASE_ID = re.compile("[A-Za-z0-9_-]+")
_SENDER = re.compile(r"[^\s@<>]+@[^\s@<>]+")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")  # where a mail server may have no TLS
_QUOTES = "\"'`\u201c\u201d\u2018\u2019"
# Between two Apprise addresses. A comma elsewhere is part of an address: ?to=a@b.cd,c@d.ef
_ADDRESS_SEPARATOR = re.compile(r"[\s,;]+(?=[a-z0-9]{1,32}://)", re.I)

env = Env(eager=False)
# .env is for development only. ENV_FILE names another file; tests use an empty one.
env.read_env(os.environ.get("ENV_FILE", str(BASE_DIR / ".env")), recurse=False)

# An empty variable means "not set": dashboards and .env files contain variables without a value.
for _name in [name for name, value in os.environ.items() if not value.strip()]:
    del os.environ[_name]


@env.parser_for("database")
def _parse_database(url: str | None) -> Any:
    if url is None:
        return None
    try:
        return database_from_url(url)
    except ValueError as error:
        # The library's message may quote the URL with its password.
        raise EnvError("Must be a URL such as postgres://user:…@host/name.") from error


@env.parser_for("address")
def _parse_address(url: str | None, schemes: tuple[str, ...]) -> str | None:
    if url is None:
        return None
    problem = f"Must be a URL that starts with {' or '.join(s + '://' for s in schemes)}."
    if any(each.isspace() for each in url):
        raise EnvError("Has a blank or a line break. Remove it.")
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError if it is not a number
    except ValueError:
        raise EnvError(problem) from None
    place = parts.path.strip("/") if parts.scheme == "unix" else parts.hostname
    if parts.scheme not in schemes or not place:
        raise EnvError(problem)
    return url


@env.parser_for("api_address")
def _parse_api_address(url: str | None, version: str) -> str | None:
    address: str | None = _parse_address(url, ("https", "http"))
    if address and urlsplit(address).path.strip("/") == version:
        raise EnvError(f"Must be without /{version}, which Siftly adds.")
    return address


@env.parser_for("base_id")
def _parse_base_id(text: str | None) -> str | None:
    """https://support.airtable.com/docs/finding-airtable-ids"""
    if text is None:
        return None
    for prefix, thing in (("tbl", "a table"), ("viw", "a view"), ("pat", "a token")):
        if text.startswith(prefix):
            raise EnvError(f"Is {thing} ({prefix}…). The base's id starts with app.")
    if not _BASE_ID.fullmatch(text):
        raise EnvError("Must be a base id, app….")
    return text


@env.parser_for("redis")
def _parse_redis(url: str | None) -> str | None:
    address: str | None = _parse_address(url, ("redis", "rediss", "unix"))
    if address is None:
        return None
    parts = urlsplit(address)
    if parts.scheme != "unix" and not _REDIS_PATH.fullmatch(parts.path):
        raise EnvError("The path must be a database number such as /0, or empty.")
    try:
        redis.ConnectionPool.from_url(address).make_connection()  # does not connect yet
    except (ValueError, TypeError):
        raise EnvError("redis-py does not know an option after the ?, or its value.") from None
    return address


@env.parser_for("dsn")
def _parse_dsn(url: str | None) -> str | None:
    """https://docs.sentry.io/concepts/key-terms/dsn-explainer/"""
    address: str | None = _parse_address(url, ("https", "http"))
    if address is None:
        return None
    parts = urlsplit(address)
    if not parts.username or not parts.path.rpartition("/")[2].isdigit():
        raise EnvError("Must be a DSN such as https://…@….ingest.sentry.io/1.")
    return address


@env.parser_for("alert_urls")
def _parse_alert_urls(text: str) -> list[str]:
    """Splits as Apprise's `parse_urls` does, which leaves out what precedes the first address.
    `siftly.checks.alerts` reports malformed addresses."""
    return [url for url in _ADDRESS_SEPARATOR.split(text.strip(" ,;\t\r\n")) if url]


@env.parser_for("email")
def parse_email(url: str | None) -> dict[str, Any] | None:
    """The parts of the address of an SMTP server."""
    address: str | None = _parse_address(url, ("smtps", "smtp"))
    if address is None:
        return None
    parts = urlsplit(address)
    options = dict(parse_qsl(parts.query))
    sender = options.pop("from", "")
    if not _SENDER.fullmatch(sender) or options:
        raise EnvError("Must end with the sender's address alone: ?from=siftly@example.com.")
    has_tls = parts.scheme == "smtps"
    return {
        "host": parts.hostname,
        "port": parts.port or (465 if has_tls else 587),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "ssl": has_tls,
        "starttls": not has_tls and parts.hostname not in _THIS_MACHINE,
        "sender": sender,
    }


@env.parser_for("token")
def _parse_token(text: str | None) -> str | None:
    if text is not None and (text[0] in _QUOTES or text[-1] in _QUOTES):
        raise EnvError("Must be without quotes.")
    if text is not None and not (text.isascii() and text.isprintable() and " " not in text):
        raise EnvError("Must be a token: ASCII characters without spaces and line breaks.")
    return text


@env.parser_for("variables")
def _parse_variables(text: str) -> dict[str, str]:
    try:
        variables = json.loads(text)
    except ValueError as error:
        raise EnvError(f"Must be JSON: {error}.") from error
    if not isinstance(variables, dict):
        raise EnvError('Must be a JSON object such as {"customer_name": "New Customer"}.')
    if not all(isinstance(value, str) for value in variables.values()):
        raise EnvError("Each value must be a string in quotes.")
    return variables


def mapping_path(name: str | None) -> str:
    """The path of a mapping file. `siftly` and `flat` name the shipped ones."""
    if name in SHIPPED_MAPPINGS:
        return str(BASE_DIR / "airtable_sync" / "mapping" / "shipped" / f"{name}.toml")
    return name or ""


def comma_separated(name: str) -> list[str]:
    """The parts of a variable, without spaces around them and without empty parts."""
    return [part.strip() for part in env.str(name, "").split(",") if part.strip()]


def origin_of(url: str | None) -> str:
    """Scheme and host: `https://siftly.example.com`. Empty without a URL."""
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def own_hosts(public_url: str | None, *others: str) -> list[str]:
    """Host names for ALLOWED_HOSTS: this machine, the public URL's host, and the others."""
    public = urlsplit(public_url or "").hostname
    return ["localhost", "127.0.0.1", "[::1]", *([public] if public else []), *others]


def names() -> set[str]:
    """The variables that were read, whether they are set or not."""
    return set(env.dump())


def problems() -> dict[str, str]:
    """Problem messages by variable. Call it once, after all variables were read."""
    try:
        env.seal()
    except EnvValidationError as error:
        messages = cast("dict[str, list[str]]", error.error_messages)
        return {name: " ".join(texts) for name, texts in messages.items()}
    return {}
