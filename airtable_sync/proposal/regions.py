"""The country and the time zone of a base: from its telephone numbers and its date fields."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
from babel.core import get_global

from airtable_sync.mapping.phone_numbers import to_e164
from airtable_sync.proposal.base import Table

TRIED = 30  # national numbers for which every country is tried
_NORTH_AMERICAN = re.compile(r"\(?[0-9]{3}\)?[ .-]+[0-9]{3}[ .-][0-9]{4}")
_YEAR = datetime.now(UTC).year
_MOMENTS = [datetime(_YEAR, month, 1, 12, tzinfo=UTC) for month in (1, 4, 7, 10)]


@dataclass(frozen=True)
class Region:
    code: str = ""  # ISO 3166; "" if it is unknown
    possible: tuple[str, ...] = ()  # the countries between which nothing decides

    @property
    def for_counting(self) -> str:
        """A country in which the numbers are valid, even if it may be another."""
        return self.code or next(iter(self.possible), "")


def guess_region(texts: Sequence[str], likely: AbstractSet[str]) -> Region:
    """The most frequent country of the numbers that have a country code. If none has one: the
    country in which most are valid; of several such countries, the one that is `likely`."""
    with_code = Counter(filter(None, map(country_of, texts)))
    if with_code:
        return Region(with_code.most_common(1)[0][0])
    valid = {
        region: sum(is_valid_in(text, region) for text in texts[:TRIED])
        for region in phonenumbers.SUPPORTED_REGIONS
    }
    most = max(valid.values())
    best = sorted(region for region, count in valid.items() if count == most) if most else []
    if all(_NORTH_AMERICAN.fullmatch(text) for text in texts):
        likely = likely | {*phonenumbers.COUNTRY_CODE_TO_REGION_CODE[1]}
    return _decide(best, likely)


def _decide(best: Sequence[str], likely: AbstractSet[str]) -> Region:
    preferred = [region for region in best if region in likely]
    for regions in (best, preferred):
        if len(regions) == 1:
            return Region(regions[0])
    return Region(possible=tuple(preferred or best))


def country_of(text: str) -> str:
    """The country of a number that has a country code; "" for others. A number of eleven digits
    that is valid behind a "+" has lost it: Airtable's number fields do not keep it."""
    is_bare = text.isascii() and text.isdigit() and len(text) >= 11 and text[0] != "0"
    number = to_e164(f"+{text}" if is_bare else text, "")
    if not number or (is_bare and not phonenumbers.is_valid_number(phonenumbers.parse(number))):
        return ""
    return _country(number)


def is_valid_in(text: str, region: str) -> bool:
    """Whether it is a number of this country that may be in use."""
    number = to_e164(text, region)
    if not number or not phonenumbers.is_valid_number(phonenumbers.parse(number)):
        return False
    return _country(number) == region


def _country(number: str) -> str:
    parsed = phonenumbers.parse(number)
    code = phonenumbers.region_code_for_number(parsed)
    code = code or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return code if code in phonenumbers.SUPPORTED_REGIONS else ""  # not 001, for +800


def field_time_zones(tables: Iterable[Table]) -> list[str]:
    """Those that people chose for fields with a time."""
    zones = {each.time_zone for table in tables for each in table.fields}
    return sorted(zones.intersection(available_timezones()) - {"utc", "UTC"})


def countries_of(zones: Iterable[str]) -> set[str]:
    chosen = set(zones)
    by_country = get_global("territory_zones")
    return {country for country, own in by_country.items() if chosen.intersection(own)}


def time_zone_of(region: str) -> str:
    """ "" if the country's clocks differ. Germany has two zones with the same time."""
    zones = [zone for zone in get_global("territory_zones").get(region, ()) if _is_known(zone)]
    times = {tuple(ZoneInfo(zone).utcoffset(each) for each in _MOMENTS) for zone in zones}
    return zones[0] if len(times) == 1 else ""


def _is_known(zone: str) -> bool:
    return zone in available_timezones()
