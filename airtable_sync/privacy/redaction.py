"""Finds a called number in texts, however it is written there, and removes it."""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import phonenumbers
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db.models import Model, QuerySet

from airtable_sync.mapping.phone_numbers import MAX_LENGTH
from airtable_sync.models import ChangeFeed, Incident, Override

ERASED = "[erased]"
TextFields = tuple[type[Model], tuple[str, ...]]
ADMIN_LOG: tuple[TextFields, ...] = ((LogEntry, ("object_repr", "change_message")),)
ALERTS: tuple[TextFields, ...] = ((Incident, ("message",)), (ChangeFeed, ("last_error",)))
REASONS: tuple[TextFields, ...] = ((Override, ("reason",)),)
# The login form's address has `?next=…`, which may be the page of a number.
FAILED_LOGINS: tuple[TextFields, ...] = (
    (AccessAttempt, ("username", "path_info", "get_data", "post_data")),
)

# Separators between digits, also URL-encoded. No more than a number may have: otherwise a text of
# 40,000 plus signs, such as a failed login's, takes 16 s.
_BETWEEN = r"(?:[\s().\-/+\u00ad\u00b7\u200b-\u2015\u202a-\u202e\u2060-\u2069\ufeff]|%2[0-9A-F])"
_BETWEEN += f"{{0,{MAX_LENGTH}}}"
_BEGIN, _END = r"(?:(?<![0-9A-Za-z])|(?<=%2[0-9A-F]))", r"(?![0-9A-Za-z])"
_MIN_NATIONAL_DIGITS = 7  # fewer may be any other number


@lru_cache(maxsize=100)
def pattern(number: str) -> re.Pattern[str]:
    """Matches every way of writing a number (E.164)."""
    parsed = phonenumbers.parse(number)
    national = phonenumbers.national_significant_number(parsed)
    code = _spaced(str(parsed.country_code))
    beginnings = [rf"(?:(?:\+|%2B|00){_BETWEEN})?{code}{_BETWEEN}(?:0{_BETWEEN})?"]
    if len(national) >= _MIN_NATIONAL_DIGITS:
        region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
        trunk = phonenumbers.ndd_prefix_for_region(region, True) or ""
        beginnings.append(rf"(?:{_spaced(trunk)}{_BETWEEN})?" if trunk else "")
    written = rf"{_BEGIN}(?:{'|'.join(beginnings)}){_spaced(national)}{_END}"
    return re.compile(written, re.IGNORECASE)


def _spaced(digits: str) -> str:
    return _BETWEEN.join(digits)


def redact(value: Any, number: str) -> Any:
    """A JSON value without the number in any of its texts."""
    match value:
        case str():
            return pattern(number).sub(ERASED, value)
        case list():
            return [redact(each, number) for each in value]
        case dict():
            return {name: redact(each, number) for name, each in value.items()}
    return value


def count(places: Iterable[TextFields], number: str) -> int:
    """Raises DatabaseError."""
    return sum(1 for _ in _changed(places, number))


def erase(places: Iterable[TextFields], number: str) -> None:
    """Raises DatabaseError."""
    for row, texts in _changed(places, number):
        QuerySet(type(row)).filter(pk=row.pk).update(**texts)


def _changed(places: Iterable[TextFields], number: str) -> Iterable[tuple[Model, dict[str, str]]]:
    """The rows that have the number, with their texts without it."""
    for model, fields in places:
        rows: QuerySet[Model] = QuerySet(model)
        for row in rows.only("pk", *fields).iterator():
            before = {name: getattr(row, name) for name in fields}
            after = redact(before, number)
            if after != before:
                yield row, after


def _sessions(number: str) -> list[Session]:
    """Sessions with a message to their user that has the number. Raises DatabaseError."""
    return [
        each
        for each in Session.objects.iterator()
        if pattern(number).search(json.dumps(each.get_decoded(), ensure_ascii=False))
    ]


def count_sessions(number: str) -> int:
    """Raises DatabaseError."""
    return len(_sessions(number))


def end_sessions(number: str) -> None:
    """Raises DatabaseError."""
    for each in _sessions(number):
        each.delete()
