"""The entries of the shared copy: of Redis, or of the database."""

from collections.abc import Iterator

from airtable_sync.cache.contacts import is_contact
from airtable_sync.cache.entry import Entry
from airtable_sync.services import Services


def known_entries(used: Services) -> Iterator[Entry]:
    """Sorted by called number. Raises CacheUnavailable and DatabaseError."""
    if used.configuration.has_redis:
        store = used.command_store
        entries = store.read_many(sorted(store.indexed_numbers()))
    else:
        newest = used.snapshots.newest_entries()
        entries = (entry for entry in newest if not is_contact(entry.number))
    return (entry for entry in entries if entry.is_known)
