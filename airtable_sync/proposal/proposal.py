"""Proposes a mapping for a base."""

from dataclasses import dataclass, replace

from airtable_sync.proposal.base import InspectedBase
from airtable_sync.proposal.candidates import Candidate, chosen
from airtable_sync.proposal.document import Plan, document
from airtable_sync.proposal.names import name_variables, needs_snake_case
from airtable_sync.proposal.regions import field_time_zones, time_zone_of
from airtable_sync.proposal.sections import Section, section_tree
from airtable_sync.proposal.undecided import undecided
from airtable_sync.proposal.variables import choose_variables


@dataclass(frozen=True)
class Choices:
    """What a person decided: fields to leave out or to include, as (table, field), whether the
    variables are in snake_case, and what `[format]` says. None and "": as the base suggests."""

    left_out: frozenset[tuple[str, str]] = frozenset()
    included: frozenset[tuple[str, str]] = frozenset()
    snake_case: bool | None = None
    locale: str = ""
    time_zone: str = ""
    region: str = ""  # the country of numbers without a country code


NO_CHOICES = Choices()


@dataclass(frozen=True)
class ProposedField:
    table: str
    name: str
    is_used: bool


@dataclass(frozen=True)
class Proposal:
    toml: str
    candidate: Candidate  # the table of the called numbers
    undecided: list[str]  # one sentence each; comments of the TOML too
    requests: int  # sent to Airtable, with the one for the schema
    fields: list[ProposedField]  # that are variables, or could be
    region: str  # "" if it is unknown


def propose(base: InspectedBase, table: str = "", choices: Choices = NO_CHOICES) -> Proposal:
    """`table` is the name or id that a person chose; "" to find it. Raises NotProposed, and
    SeveralCandidates if a person has to choose."""
    plan = _plan(base, _with_region(chosen(base, table), choices.region), choices)
    requests, fields = base.requests, _fields(plan, choices)
    return Proposal(document(plan), plan.candidate, plan.undecided, requests, fields, plan.region)


def _with_region(candidate: Candidate, region: str) -> Candidate:
    """With the country that a person chose."""
    if not region or not candidate.found:
        return candidate
    first, *others = candidate.found
    decided = replace(first, region=replace(first.region, code=region), unreadable=0)
    return replace(candidate, found=(decided, *others))


def _plan(base: InspectedBase, candidate: Candidate, choices: Choices) -> Plan:
    root = section_tree(base, candidate.table)
    choose_variables(root, [candidate.field], choices.left_out, choices.included)
    in_snake_case = needs_snake_case(root) if choices.snake_case is None else choices.snake_case
    name_variables(base, root, in_snake_case=in_snake_case)
    region = candidate.found[0].region.code if candidate.found else ""
    time_zone = choices.time_zone or _time_zone(root, region)
    sentences = undecided(base, candidate, root, time_zone)
    return Plan(base, candidate, root, time_zone, in_snake_case, sentences, choices.locale)


def _fields(plan: Plan, choices: Choices) -> list[ProposedField]:
    used = [
        ProposedField(each.table.name, field.name, is_used=True)
        for each in plan.root.all()
        for field in each.variables
    ]
    private = {(each.table.name, field.name) for each in plan.root.all() for field in each.private}
    without = sorted(private | choices.left_out)
    return [*dict.fromkeys(used), *(ProposedField(*each, is_used=False) for each in without)]


def _time_zone(root: Section, region: str) -> str:
    """The one that all fields with times have; without any, the country's."""
    zones = field_time_zones(section.table for section in root.all())
    if zones:
        return zones[0] if len(zones) == 1 else ""
    return time_zone_of(region)
