"""The fields of a table that have telephone numbers in them."""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from airtable_sync.mapping.phone_numbers import to_e164
from airtable_sync.proposal.base import Field, InspectedBase, Table
from airtable_sync.proposal.hints import is_phone_name, number_field_score
from airtable_sync.proposal.regions import Region, country_of, guess_region, is_valid_in

PHONE = "phoneNumber"
_TEXT = frozenset({"singleLineText", "multilineText"})
# They hold numbers of other kinds too: only the name says that these are telephone numbers.
_BY_NAME = frozenset({"number", "formula", "multipleLookupValues", "rollup"})
_COPIES = frozenset({"multipleLookupValues", "rollup"})
_SEPARATOR = re.compile(r"[\r\n,;]+")
MAX_LENGTH = 1000  # a longer text is no list of numbers
MIN_SHARE = 0.6  # of the filled cells of a text field


@dataclass(frozen=True)
class NumberField:
    field: Field
    score: int
    region: Region
    numbers: tuple[str, ...]  # E.164
    unreadable: int  # filled cells without a number
    several_per_cell: bool


def possible_fields(table: Table) -> list[tuple[int, Field]]:
    """By the schema alone: the fields that may have called numbers, the most likely first."""
    scored = [(_score(table, each), each) for each in table.fields if _is_possible(each)]
    return sorted(scored, key=lambda each: -each[0])


def number_fields(
    base: InspectedBase, table: Table, likely_countries: AbstractSet[str]
) -> list[NumberField]:
    """By the sample: the fields with numbers, the most likely first."""
    found = [
        _read(each, score, base.texts(table, each), likely_countries)
        for score, each in possible_fields(table)
    ]
    return [each for each in found if _has_numbers(each)]


def _is_possible(field: Field) -> bool:
    if field.type == PHONE or field.type in _TEXT:
        return True
    return field.type in _BY_NAME and is_phone_name(field.name)


def _score(table: Table, field: Field) -> int:
    kind = 3 * (field.type == PHONE) - 2 * (field.type in _COPIES)
    return kind + number_field_score(field.name) + (field == table.primary)


def _read(
    field: Field, score: int, texts: Sequence[str], likely_countries: AbstractSet[str]
) -> NumberField:
    parts = [_parts(text) for text in texts]
    region = guess_region([part for each in parts for part in each], likely_countries)
    is_strict = field.type != PHONE
    found = [[_number(part, region.for_counting, is_strict) for part in each] for each in parts]
    readable = [[number for number in each if number] for each in found if all(each)]
    return NumberField(
        field,
        score,
        region,
        tuple(number for each in readable for number in each),
        len(found) - len(readable),
        any(len(each) > 1 for each in readable),
    )


def _parts(text: str) -> list[str]:
    """The numbers of a cell. One number may have a comma in it, before its extension."""
    if to_e164(text, "") or len(text) > MAX_LENGTH:
        return [text]
    return [part.strip() for part in _SEPARATOR.split(text) if part.strip()] or [text]


def _number(text: str, region: str, is_strict: bool) -> str | None:
    """In a text field every row of digits could be a number: only one that may be in use counts."""
    if is_strict and text[:1] != "+" and not country_of(text) and not is_valid_in(text, region):
        return None
    return to_e164(text, region)


def _has_numbers(found: NumberField) -> bool:
    count = len(found.numbers)
    if found.field.type == PHONE:
        return count > 0
    return count > 0 and count >= MIN_SHARE * (count + found.unreadable)
