"""The database connection of a background thread, and outages of the database."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connection

logger = logging.getLogger(__name__)


def close_connection() -> None:
    """Close this thread's connection; the next query opens another. Inside a transaction it stays
    open."""
    if not connection.in_atomic_block:
        connection.close()


@contextmanager
def ignore_database_errors(task: str, *, when: bool) -> Iterator[None]:
    """Log a failure of the database and go on, `when` Redis is the shared copy. Raises
    DatabaseError otherwise. Starts with a new connection: the last one may be broken by now."""
    close_connection()
    try:
        yield
    except DatabaseError as error:
        if not when:
            raise
        logger.warning("The database failed; Redis is enough to go on (%s): %s", task, error)
