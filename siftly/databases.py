"""Django's DATABASES entry for an address, with time limits: nobody waits for the database for
long, and no call waits for it at all."""

from pathlib import Path
from typing import Any

import dj_database_url

CONNECT_SECONDS = 3
STATEMENT_SECONDS = 10
SILENCE_SECONDS = 10  # of a peer that is gone without a word

POSTGRESQL: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "options": f"-c statement_timeout={STATEMENT_SECONDS}s",
    "application_name": "siftly",
    "tcp_user_timeout": SILENCE_SECONDS * 1000,
    "keepalives_idle": SILENCE_SECONDS,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
# Several processes write: readers go on meanwhile, and a writer waits for its turn at the beginning
# of a transaction, where SQLite keeps the time limit. https://docs.djangoproject.com/en/5.2/ref/databases/#sqlite-notes
SQLITE: dict[str, Any] = {
    "timeout": 5,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
}


def database(url: str) -> dict[str, Any]:
    """What the address itself says goes before our own options. Raises ValueError, whose message
    may quote the address."""
    found: dict[str, Any] = dict(dj_database_url.parse(url))
    return _with_limits(found)


def sqlite(file: Path) -> dict[str, Any]:
    return _with_limits({"ENGINE": "django.db.backends.sqlite3", "NAME": file})


def _with_limits(found: dict[str, Any]) -> dict[str, Any]:
    limits = {"django.db.backends.postgresql": POSTGRESQL, "django.db.backends.sqlite3": SQLITE}
    own = limits.get(str(found["ENGINE"]), {})
    options = {**own, **found.get("OPTIONS", {})}
    # A connection lives as long as one piece of work, as it has to under ASGI, where each request
    # has a thread of its own; our own threads close theirs. Where somebody lets them live on, they
    # are looked at before they are used again.
    return {**found, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True, "OPTIONS": options}
