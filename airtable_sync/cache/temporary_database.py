"""A SQLite database for work that is larger than the memory should be. It is in memory while it is
small; what does not fit is in a file without a name, which ends with the process, however that
ends: https://www.sqlite.org/inmemorydb.html#temp_db"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from airtable_sync.redis_client.connection import CacheUnavailable

CACHE_KIB = 16 * 1024


def temporary_database(schema: str) -> sqlite3.Connection:
    """For one thread. Everything is one transaction that is never committed."""
    connection = sqlite3.connect("")
    connection.executescript(
        f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KIB};"
        + schema
    )
    return connection


class NoRoom(CacheUnavailable):
    """The temporary file can't be written: a person has to make room."""


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raises NoRoom instead of sqlite3.Error."""
    try:
        yield
    except sqlite3.Error as error:
        raise NoRoom(
            f"The temporary file of the refresh can't be used: {error}. It needs about a kilobyte "
            "for each record of the base. Make room, or set SQLITE_TMPDIR to another folder."
        ) from error


def to_key(text: str) -> bytes:
    """A text as a key: SQLite accepts no text with half a surrogate pair, which JSON may contain.
    Keys are sorted as Python sorts the texts."""
    return text.encode("utf-8", "surrogatepass")


def from_key(key: bytes) -> str:
    return key.decode("utf-8", "surrogatepass")
