"""Proposes a mapping for a base."""

from dataclasses import dataclass

from airtable_sync.proposal.base import InspectedBase
from airtable_sync.proposal.candidates import Candidate, chosen
from airtable_sync.proposal.document import Plan, document
from airtable_sync.proposal.names import name_variables, needs_snake_case
from airtable_sync.proposal.regions import field_time_zones, time_zone_of
from airtable_sync.proposal.sections import Section, section_tree
from airtable_sync.proposal.undecided import undecided
from airtable_sync.proposal.variables import choose_variables


@dataclass(frozen=True)
class Proposal:
    toml: str
    candidate: Candidate  # the table of the called numbers
    undecided: list[str]  # one sentence each; comments of the TOML too
    requests: int  # sent to Airtable, with the one for the schema


def propose(base: InspectedBase, table: str = "") -> Proposal:
    """`table` is the name or id that a person chose; "" to find it. Raises NotProposed, and
    SeveralCandidates if a person has to choose."""
    plan = _plan(base, chosen(base, table))
    return Proposal(document(plan), plan.candidate, plan.undecided, base.requests)


def _plan(base: InspectedBase, candidate: Candidate) -> Plan:
    root = section_tree(base, candidate.table)
    choose_variables(root, [candidate.field])
    in_snake_case = needs_snake_case(root)
    name_variables(base, root, in_snake_case=in_snake_case)
    region = candidate.found[0].region.code if candidate.found else ""
    time_zone = _time_zone(root, region)
    sentences = undecided(base, candidate, root, time_zone)
    return Plan(base, candidate, root, time_zone, in_snake_case, sentences)


def _time_zone(root: Section, region: str) -> str:
    """The one that all fields with times have; without any, the country's."""
    zones = field_time_zones(section.table for section in root.all())
    if zones:
        return zones[0] if len(zones) == 1 else ""
    return time_zone_of(region)
