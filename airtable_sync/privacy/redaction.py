"""Where texts name a called number: sentences, reasons and addresses, in whatever form it was
written there."""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import phonenumbers
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db.models import Model

from airtable_sync.models import ChangeFeed, Incident, Override

ERASED = "[erased]"
Fields = tuple[type[Model], tuple[str, ...]]
ADMINS_LOG: tuple[Fields, ...] = ((LogEntry, ("object_repr", "change_message")),)
ALERTS: tuple[Fields, ...] = ((Incident, ("sentence",)), (ChangeFeed, ("trouble",)))
REASONS: tuple[Fields, ...] = ((Override, ("reason",)),)
# Who has to log in first is sent to the form with `?next=…`, which may be a number's page.
LOGINS: tuple[Fields, ...] = ((AccessAttempt, ("username", "path_info", "get_data", "post_data")),)

# What stands between the digits that people write, also as an address has it.
_BETWEEN = r"(?:[\s().\-/+\u00ad\u00b7\u200b-\u2015\u202a-\u202e\u2060-\u2069\ufeff]|%2[0-9A-F])*"
_BEGIN, _END = r"(?:(?<![0-9A-Za-z])|(?<=%2[0-9A-F]))", r"(?![0-9A-Za-z])"
_LONG_ENOUGH = 7  # digits without a country code that are surely a number


@lru_cache(maxsize=100)
def pattern(number: str) -> re.Pattern[str]:
    """Every way of writing a number (E.164)."""
    parsed = phonenumbers.parse(number)
    national = phonenumbers.national_significant_number(parsed)
    code = _spaced(str(parsed.country_code))
    beginnings = [rf"(?:(?:\+|%2B|00){_BETWEEN})?{code}{_BETWEEN}(?:0{_BETWEEN})?"]
    if len(national) >= _LONG_ENOUGH:
        region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
        trunk = phonenumbers.ndd_prefix_for_region(region, True) or ""
        beginnings.append(rf"(?:{_spaced(trunk)}{_BETWEEN})?" if trunk else "")
    written = rf"{_BEGIN}(?:{'|'.join(beginnings)}){_spaced(national)}{_END}"
    return re.compile(written, re.IGNORECASE)


def _spaced(digits: str) -> str:
    return _BETWEEN.join(digits)


def masked(value: Any, number: str) -> Any:
    """A value as JSON knows them, with every text in it."""
    match value:
        case str():
            return pattern(number).sub(ERASED, value)
        case list():
            return [masked(each, number) for each in value]
        case dict():
            return {name: masked(each, number) for name, each in value.items()}
    return value


def count(places: Iterable[Fields], number: str) -> int:
    """Raises DatabaseError."""
    return sum(1 for _ in _changed(places, number))


def erase(places: Iterable[Fields], number: str) -> None:
    """Raises DatabaseError."""
    for row, texts in _changed(places, number):
        type(row)._default_manager.filter(pk=row.pk).update(**texts)  # noqa: SLF001 - Django's name


def _changed(places: Iterable[Fields], number: str) -> Iterable[tuple[Model, dict[str, str]]]:
    """The rows that name it, with their texts as they are without."""
    for model, fields in places:
        for row in model._default_manager.only("pk", *fields).iterator():  # noqa: SLF001
            before = {name: getattr(row, name) for name in fields}
            after = masked(before, number)
            if after != before:
                yield row, after


def sessions(number: str) -> list[Session]:
    """Those with a message for their user that names it. Raises DatabaseError."""
    return [
        each
        for each in Session.objects.iterator()
        if pattern(number).search(json.dumps(each.get_decoded(), ensure_ascii=False))
    ]


def end_sessions(number: str) -> None:
    """Raises DatabaseError."""
    for each in sessions(number):
        each.delete()
