"""Builds settings.DATABASES, with time limits: a slow database must not block a process. Calls do
not use the database."""

from pathlib import Path
from typing import Any

import dj_database_url

CONNECT_SECONDS = 3
STATEMENT_SECONDS = 10
PEER_TIMEOUT_SECONDS = 10  # for a server that no longer responds

# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
POSTGRESQL_OPTIONS: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "options": f"-c statement_timeout={STATEMENT_SECONDS}s",
    "application_name": "siftly",
    "tcp_user_timeout": PEER_TIMEOUT_SECONDS * 1000,
    "keepalives_idle": PEER_TIMEOUT_SECONDS,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
# Several processes write. With WAL, readers continue during a write. With IMMEDIATE, a writer takes
# the lock when its transaction begins: only there does SQLite wait for the lock (`timeout`).
# https://docs.djangoproject.com/en/5.2/ref/databases/#sqlite-notes
SQLITE_OPTIONS: dict[str, Any] = {
    "timeout": 5,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
}
_OPTIONS = {
    "django.db.backends.postgresql": POSTGRESQL_OPTIONS,
    "django.db.backends.sqlite3": SQLITE_OPTIONS,
}


def database_from_url(url: str) -> dict[str, Any]:
    """The options in the URL override ours. Raises ValueError, whose message may quote the URL."""
    return _with_limits(dict(dj_database_url.parse(url)))


def sqlite(file: Path) -> dict[str, Any]:
    return _with_limits({"ENGINE": "django.db.backends.sqlite3", "NAME": file})


def _with_limits(database: dict[str, Any]) -> dict[str, Any]:
    options = {**_OPTIONS.get(database["ENGINE"], {}), **database.get("OPTIONS", {})}
    # Close a connection after each request: under ASGI each request runs in a new thread, which
    # can't use the connection of another one. Our own threads close theirs. The health check is for
    # a deployment that sets CONN_MAX_AGE.
    return {**database, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True, "OPTIONS": options}
