"""The section [format] of the mapping file: how values are written."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError


@dataclass(frozen=True, slots=True)
class TextFormat:
    """Without a locale, values are written as `29.99`, `2026-11-26` and `2026-11-26 15:00`."""

    locale: str | None = None
    time_zone: str | None = None
    checkbox: tuple[str, str] | None = None  # ticked, unticked


def known_locale(text: str) -> str:
    """The locale in Babel's spelling: `nl_BE` for `nl-BE`. Raises ValueError."""
    return str(locale_of(text))


def locale_of(text: str) -> Locale:
    """Raises ValueError with the end of a sentence."""
    try:
        return Locale.parse(text.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        raise ValueError('is not a known locale, such as "nl-BE"') from None


def known_time_zone(text: str) -> str:
    """The same text. Raises ValueError."""
    time_zone_of(text)
    return text


def time_zone_of(text: str) -> ZoneInfo:
    """Raises ValueError with the end of a sentence."""
    try:
        return ZoneInfo(text)
    except (LookupError, ValueError, OSError):
        raise ValueError('is not a known time zone, such as "Europe/Brussels"') from None
