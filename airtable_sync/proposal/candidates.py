"""Which table has the called numbers. Contacts and customers have numbers of their own: names,
links and values tell the two apart, or a person has to."""

from dataclasses import dataclass

from airtable_sync.proposal.base import SAMPLE_SIZE, Field, InspectedBase, Table
from airtable_sync.proposal.hints import table_score
from airtable_sync.proposal.number_fields import (
    PHONE,
    NumberField,
    number_fields,
    possible_fields,
)
from airtable_sync.proposal.regions import countries_of, field_time_zones
from airtable_sync.proposal.toml_text import quoted

LEAD = 2  # a table with a higher score by this much is chosen without asking
MIN_UNIQUE = 0.8  # a called number belongs to one record; a log of calls repeats it


class NotProposed(ValueError):
    """No mapping can be proposed. The message says why, and which tables there are."""


@dataclass(frozen=True)
class Candidate:
    table: Table
    field: Field
    score: int
    is_read: bool
    found: tuple[NumberField, ...] = ()  # the most likely field first

    @property
    def numbers(self) -> int | None:
        """How many the sample has; None if the table was not read."""
        if not self.is_read:
            return None
        return len(self.found[0].numbers) if self.found else 0


class SeveralCandidates(NotProposed):
    """More than one table may be the one with the called numbers."""

    def __init__(self, candidates: list[Candidate]) -> None:
        super().__init__("Several tables may have the called numbers. Choose one with --table:")
        self.candidates = candidates


def candidates(base: InspectedBase) -> list[Candidate]:
    """The tables that may have the called numbers, the most likely first. One if nothing else is
    plausible. Reads only as many tables as it needs to decide."""
    ranked = _ranked(base)
    found: list[Candidate] = []
    for each in ranked:
        best = max((other.score for other in found if other.numbers), default=None)
        if best is not None and best - each.score >= LEAD:
            break
        found.append(_read(base, each) if base.read(each.table) else each)
    return _plausible(found)


def candidate_in(base: InspectedBase, name_or_id: str) -> Candidate:
    """The candidate that a person chose. Raises NotProposed."""
    table = base.table(name_or_id)
    if table is None:
        raise NotProposed(f"There is no table {quoted(name_or_id)}. {tables_sentence(base)}")
    unread = _unread(table)
    if unread is None or not base.read(table):
        raise NotProposed(_no_numbers(table))
    candidate = _read(base, unread)
    if not candidate.numbers and not _is_empty_phone_field(base, candidate):
        raise NotProposed(_no_numbers(table))
    return candidate


def chosen(base: InspectedBase, name_or_id: str = "") -> Candidate:
    """Raises NotProposed; SeveralCandidates if a person has to choose."""
    if name_or_id:
        return candidate_in(base, name_or_id)
    found = candidates(base)
    if not found:
        raise NotProposed(f"No table with telephone numbers was found. {tables_sentence(base)}")
    if len(found) > 1:
        raise SeveralCandidates(found)
    return found[0]


def tables_sentence(base: InspectedBase) -> str:
    names = ", ".join(quoted(table.name) for table in base.tables)
    return f"The base has these tables: {names}." if names else "The base has no tables."


def _no_numbers(table: Table) -> str:
    return f"The table {quoted(table.name)} has no field with telephone numbers."


def _ranked(base: InspectedBase) -> list[Candidate]:
    found = [each for table in base.tables if (each := _unread(table))]
    return sorted(found, key=lambda each: -each.score)


def _unread(table: Table) -> Candidate | None:
    """What the schema alone says. None if no field can have numbers."""
    fields = possible_fields(table)
    if not fields:
        return None
    score, field = fields[0]
    return Candidate(table, field, score + table_score(table.name) + bool(table.links()), False)


def _read(base: InspectedBase, unread: Candidate) -> Candidate:
    table = unread.table
    likely = countries_of(field_time_zones(base.tables))
    found = tuple(number_fields(base, table, likely))
    if not found:
        return Candidate(table, unread.field, unread.score, True)
    score = found[0].score + table_score(table.name) + bool(table.links())
    is_long = len(base.records(table)) >= SAMPLE_SIZE
    repeats = len(set(found[0].numbers)) < MIN_UNIQUE * len(found[0].numbers)
    return Candidate(table, found[0].field, score - is_long - 2 * repeats, True, found)


def _plausible(found: list[Candidate]) -> list[Candidate]:
    """Those with numbers, and those whose field is for telephone numbers but empty or not read.
    Then those with a score near the best one with numbers, or above it."""
    plausible = [each for each in found if each.numbers or each.field.type == PHONE]
    plausible.sort(key=lambda each: -each.score)
    with_numbers = [each.score for each in plausible if each.numbers]
    best = with_numbers[0] if with_numbers else max((each.score for each in plausible), default=0)
    return [each for each in plausible if best - each.score < LEAD]


def _is_empty_phone_field(base: InspectedBase, candidate: Candidate) -> bool:
    is_filled = base.texts(candidate.table, candidate.field)
    return candidate.field.type == PHONE and not is_filled
