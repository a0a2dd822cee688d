"""Contacts are entries as well, in a cache of their own. The key is `contact_key`: the record that
the contact belongs to, and the caller's number. So a call's answer takes a look at a few keys."""

from collections.abc import Iterable, Sequence

from airtable_sync.cache.entry import Entry

EVERYBODY = "*"


def contact_key(owner: str, number: str) -> str:
    """`owner` is the id of the record that the contact belongs to, or EVERYBODY."""
    return f"{owner}/{number}"


def contact_keys(records: Iterable[str], caller: str) -> list[str]:
    """Where a contact with this number would be that may be told to calls of a number whose config
    is made of these records ("table/rec…")."""
    owners = [record.rpartition("/")[2] for record in records]
    return [contact_key(owner, caller) for owner in (*owners, EVERYBODY)]


def first_known(entries: Iterable[Entry], keys: Sequence[str]) -> Entry | None:
    """Of these entries the known one whose key comes first: the number's own record is before the
    ones it links to."""
    found = {each.number: each for each in entries if each.is_known}
    return next((found[key] for key in keys if key in found), None)


def number_of(key: str) -> str:
    """The telephone number in the key of a contact; a called number itself."""
    return key.rpartition("/")[2]


def is_contact(key: str) -> bool:
    return "/" in key


def numbers_in(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if not is_contact(entry.number)]


def contacts_in(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if is_contact(entry.number)]
