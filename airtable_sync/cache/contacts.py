"""Contacts are entries as well, in a cache of their own. The key is `contact_key`: the record that
the contact belongs to, and the caller's number. So a call's answer takes a look at a few keys."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.publish_target import Publication, PublishTarget
from airtable_sync.cache.redis_store import WriteResult

EVERYBODY = "*"


def contact_key(owner: str, number: str) -> str:
    """`owner` is the id of the record that the contact belongs to, or EVERYBODY."""
    return f"{owner}/{number}"


def contact_keys(entry: Entry, caller: str) -> list[str]:
    """Where a contact with this number would be that may be told to calls of the entry's number."""
    owners = [record.rpartition("/")[2] for record in entry.records]
    return [contact_key(owner, caller) for owner in (*owners, EVERYBODY)]


def number_of(key: str) -> str:
    """The telephone number in the key of a contact; a called number itself."""
    return key.rpartition("/")[2]


def is_contact(key: str) -> bool:
    return "/" in key


def numbers_in(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if not is_contact(entry.number)]


def contacts_in(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if is_contact(entry.number)]


class TargetWithContacts:
    """Publishes a set of called numbers and contacts to a cache each. The rest is the numbers'."""

    def __init__(self, numbers: PublishTarget, contacts: PublishTarget) -> None:
        self._numbers, self._contacts = numbers, contacts
        self.now = numbers.now
        self.acquire_lease = numbers.acquire_lease
        self.renew_lease = numbers.renew_lease
        self.release_lease = numbers.release_lease
        self.count_published = numbers.count_published
        self.count_contacts = contacts.count_published
        self.is_paused = numbers.is_paused

    def compare(self, publication: Publication) -> Iterator[WriteResult]:
        numbers, contacts = _divided(publication)
        yield from self._numbers.compare(numbers)
        yield from self._contacts.compare(contacts)

    def publish(self, publication: Publication) -> Iterator[WriteResult]:
        """Contacts first: a contact is told only with a number's config, which may be new."""
        numbers, contacts = _divided(publication)
        yield from self._contacts.publish(contacts)
        yield from self._numbers.publish(numbers)

    def pause(self, run_id: int) -> None:
        self._contacts.pause(run_id)
        self._numbers.pause(run_id)

    def resume(self) -> None:
        self._contacts.resume()
        self._numbers.resume()


def _divided(publication: Publication) -> tuple[Publication, Publication]:
    entries = publication.entries
    return (
        replace(publication, entries=numbers_in(entries)),
        replace(publication, entries=contacts_in(entries)),
    )
