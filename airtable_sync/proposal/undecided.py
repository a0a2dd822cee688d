"""What the base does not say, one sentence each."""

from collections.abc import Iterator

from airtable_sync.proposal.base import MAX_TABLES_READ, InspectedBase
from airtable_sync.proposal.candidates import Candidate
from airtable_sync.proposal.filters import suggestions
from airtable_sync.proposal.hints import may_be_own_number
from airtable_sync.proposal.number_fields import NumberField
from airtable_sync.proposal.regions import field_time_zones
from airtable_sync.proposal.sections import Section, field_place
from airtable_sync.proposal.toml_text import quoted

SHOWN = 5  # countries in a sentence


def undecided(
    base: InspectedBase, candidate: Candidate, root: Section, time_zone: str
) -> list[str]:
    return [
        *_about_numbers(candidate),
        *_about_time_zone(root, time_zone),
        *_about_records(base, root),
        *_about_tables(root),
        *(sentence for section in root.all() for sentence in section.undecided),
    ]


def _about_numbers(candidate: Candidate) -> Iterator[str]:
    place = field_place(candidate.table, candidate.field)
    if not candidate.found:
        yield f"{place} has no numbers yet: set region if they will have no country code."
        return
    if may_be_own_number(candidate.table.name, candidate.field.name):
        yield f"The numbers in {place} may be people's own: check that they are the called numbers."
    found, *others = candidate.found
    if not found.region.code:
        yield _about_region(found, place)
    if found.unreadable:
        region = f" of the region {found.region.code}" if found.region.code else ""
        yield (
            f"{found.unreadable} of the cells in {place} can't be read as telephone numbers"
            f"{region}: their records will be reported."
        )
    if others:
        names = ", ".join(quoted(each.field.name) for each in others)
        yield (
            f"The table {quoted(candidate.table.name)} has telephone numbers in {names} too: if "
            "these are called, use number_fields."
        )


def _about_region(found: NumberField, place: str) -> str:
    possible = found.region.possible
    between = ", ".join(possible[:SHOWN]) + (", …" if len(possible) > SHOWN else "")
    countries = f" ({between})" if possible else ""
    return f"The numbers in {place} may be of several countries{countries}: set region."


def _about_time_zone(root: Section, time_zone: str) -> Iterator[str]:
    if time_zone:
        return
    zones = field_time_zones(section.table for section in root.all())
    if zones:
        yield (
            f"The fields have several time zones ({', '.join(zones)}): each is shown in its own, "
            "unless you set time_zone."
        )
    else:
        yield "The time zone is unknown: set time_zone if fields have times."


def _about_records(base: InspectedBase, root: Section) -> Iterator[str]:
    if lines := suggestions(base, root.table):
        yield (
            f"All records of {quoted(root.table.name)} are used: if some are not in service, use "
            f"{' or '.join(line.partition(' = ')[0] for line in lines)}."
        )


def _about_tables(root: Section) -> Iterator[str]:
    unread = dict.fromkeys(quoted(each.table.name) for each in root.all() if not each.is_read)
    if unread:
        yield (
            f"Only {MAX_TABLES_READ} tables are read. Check the sections of {', '.join(unread)}, "
            "which come from the schema alone."
        )
