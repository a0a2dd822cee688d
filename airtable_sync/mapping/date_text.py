"""Dates and times as text."""

import re
from collections.abc import Callable
from datetime import date, datetime, time, tzinfo
from functools import lru_cache
from typing import Any

from babel import Locale
from babel.dates import get_date_format, get_datetime_format, get_time_format

from airtable_sync.mapping.number_text import Writer

_CACHED = 4096  # days; Babel needs some 10 µs for each
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(rf"{_DATE.pattern}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]{{1,6}})?Z")
_LENGTH = len("2026-11-26T14:00:00.000Z")


def is_date(text: str) -> bool:
    return bool(_DATE.fullmatch(text))


def is_time(text: str) -> bool:
    return bool(_TIME.fullmatch(text))


def looks_like_time(value: str) -> bool:
    """Whether the text has exactly the form of Airtable's times: `2026-11-26T14:00:00.000Z`."""
    return len(value) == _LENGTH and value[-1] == "Z" and is_time(value)


class DateText:
    """Makes the functions that write dates and times in a locale, or without one."""

    def __init__(self, locale: Locale | None) -> None:
        if locale is None:
            self._day: Callable[[date], str] = date.isoformat
            self._clock: Callable[[time], str] = _clock
            self._joined = "{1} {0}"
        else:
            self._day = _day_in(locale)
            self._clock = _clock_in(locale)
            self._joined = str(get_datetime_format("long", locale=locale)).replace("'", "")

    def date(self, value: Any) -> str | None:
        """A day. Of a time it is the day in UTC."""
        if not isinstance(value, str) or not (is_date(value) or is_time(value)):
            return None
        try:
            return self._day(date.fromisoformat(value[:10]))
        except ValueError:  # the 31st of February
            return None

    def time(self, zone: tzinfo) -> Writer:
        """A writer of times in that zone."""

        def write(value: Any) -> str | None:
            if not isinstance(value, str) or not is_time(value):
                return None
            try:
                local = datetime.fromisoformat(value).astimezone(zone)
            except (ValueError, OverflowError):  # 25 o'clock, or a time zone away from year 1
                return None
            return self._joined.format(self._clock(local.time()), self._day(local.date()))

        return write


def _clock(moment: time) -> str:
    return moment.isoformat("minutes")


def _day_in(locale: Locale) -> Callable[[date], str]:
    pattern = get_date_format("long", locale=locale)
    return lru_cache(_CACHED)(lambda day: pattern.apply(day, locale))


def _clock_in(locale: Locale) -> Callable[[time], str]:
    pattern = get_time_format("short", locale=locale)
    by_minute = lru_cache(24 * 60)(lambda moment: pattern.apply(moment, locale))
    return lambda moment: by_minute(moment.replace(second=0, microsecond=0))
