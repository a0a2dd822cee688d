"""The bases that `make run` can serve."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandbox.airtable.data.bases import Base
from sandbox.airtable.sample.agency import AGENCY_MAPPING, agency_base
from sandbox.airtable.sample.agency_contacts import KNOWN_CALLER
from sandbox.airtable.sample.agency_lines import CALLED_NUMBER
from sandbox.airtable.sample.bases import linked_base


@dataclass(frozen=True)
class Sample:
    make_base: Callable[[], Base]
    called_number: str
    """One of the base's numbers, for the command that `make run` prints."""
    known_caller: str = ""
    """One of the contacts of that number's client."""
    database: str = "db.sqlite3"
    """Each base has its own: a refresh is refused if it removes most numbers of the last one."""
    mapping: Path | None = None
    """Without one: Siftly's default mapping."""


DEFAULT_SAMPLE = "siftly"
SAMPLES = {
    DEFAULT_SAMPLE: Sample(linked_base, "+32460234291"),
    "agency": Sample(agency_base, CALLED_NUMBER, KNOWN_CALLER, "agency.sqlite3", AGENCY_MAPPING),
}
