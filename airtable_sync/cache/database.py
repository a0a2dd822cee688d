"""The database's connection, of a thread that is done with it or works for long."""

from django.db import connection


def release() -> None:
    """Close it; what asks next opens a new one. Within a transaction it stays as it is."""
    if not connection.in_atomic_block:
        connection.close()
