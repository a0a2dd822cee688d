"""Bases as Airtable describes them, for tests of proposals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from airtable_sync.mapping.records import Record
from airtable_sync.proposal.base import InspectedBase
from sandbox.airtable.api.meta import base_schema
from sandbox.airtable.data.bases import Base

TEXT, PHONE, LINK = "singleLineText", "phoneNumber", "multipleRecordLinks"
Cells = Mapping[str, Any]


@dataclass
class FakeBase:
    """Remembers which tables were read."""

    schema: list[dict[str, Any]] = field(default_factory=list)
    records: dict[str, list[Record]] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)

    def table(
        self,
        name: str,
        fields: Iterable[dict[str, Any]],
        rows: Mapping[str, Cells] | None = None,
        views: Iterable[str] = ("Grid view",),
    ) -> "FakeBase":
        """The first field is the primary one. `rows` by record id."""
        own = [{"id": f"fld{name}{index}", **each} for index, each in enumerate(fields)]
        self.schema.append(
            {
                "id": f"tbl{name}",
                "name": name,
                "primaryFieldId": own[0]["id"] if own else "",
                "fields": own,
                "views": [{"id": f"viw{view}", "name": view, "type": "grid"} for view in views],
            }
        )
        self.records[name] = [record(id_, cells) for id_, cells in (rows or {}).items()]
        return self

    def inspected(self) -> InspectedBase:
        return InspectedBase(self.schema, self.read_sample)

    def read_sample(self, table: str) -> list[Record]:
        self.read.append(table)
        return self.records[table][:100]


def record(id_: str, cells: Cells) -> Record:
    return {"id": id_, "createdTime": "2024-03-04T09:00:00.000Z", "fields": dict(cells)}


def of(name: str, type_: str = TEXT, **options: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, "options": options}


def link(name: str, table: str, *, single: bool = False) -> dict[str, Any]:
    return of(name, LINK, linkedTableId=f"tbl{table}", prefersSingleRecordLink=single)


def from_sandbox(base: Base) -> FakeBase:
    call = SimpleNamespace(base=base, request=SimpleNamespace(parameters={}))
    found = FakeBase(base_schema(cast("Any", call))["tables"])
    for table in base.tables:
        found.records[table.name] = [record(id_, table.values(id_)) for id_ in table.records]
    return found


def english() -> FakeBase:
    """One flat table: names with blanks, and numbers that lost their plus or their zero."""
    fields = [
        of("Customer Name"),
        of("Phone Number", "number", precision=0),
        of("Mobile", "number", precision=0),
        of("Status", "singleSelect", choices=[{"name": "Closed"}, {"name": "Active"}]),
        of("Renewal", "dateTime", timeZone="Europe/London"),
        of("Contract", "multipleAttachments"),
        of("PIN"),
        of("Agent ID"),
    ]
    rows = {
        "rec1": {"Customer Name": "Ann", "Phone Number": 442079460123, "Mobile": 447700900123},
        "rec2": {"Customer Name": "Bob", "Phone Number": 1614960456},
        "rec3": {"Customer Name": "Cas", "Phone Number": 12},
    }
    return FakeBase().table("Customers", fields, rows, ["Grid view", "Live customers"])


def dutch() -> FakeBase:
    """Lines of customers, with opening hours and employees, who have numbers of their own."""
    base = FakeBase()
    base.table(
        "Medewerkers",
        [of("Naam"), of("GSM", PHONE), link("Klanten", "Klanten")],
        {"recM": {"Naam": "Piet", "GSM": "0475 12 34 56"}},
    )
    base.table(
        "Openingsuren",
        [of("Dag"), of("Van"), of("Tot"), link("Klant", "Klanten", single=True)],
        {"recO": {"Dag": "maandag", "Van": "9:00", "Tot": "17:00"}, "recP": {"Dag": "dinsdag"}},
    )
    base.table(
        "Klanten",
        [
            of("Naam"),
            of("Telefoon", PHONE),
            link("Uren", "Openingsuren"),
            link("Contactpersoon", "Medewerkers", single=True),
            link("Vervanger", "Medewerkers", single=True),
            link("Telefoonlijnen", "Telefoonlijnen"),
        ],
        {"recK": {"Naam": "Bakkerij", "Telefoon": "09 225 36 47", "Uren": ["recO", "recP"]}},
    )
    base.table(
        "Telefoonlijnen",
        [
            of("Naam"),
            of("Telefoonnummer", PHONE),
            of("Tijdzone"),
            link("Klant", "Klanten", single=True),
        ],
        {
            "rec1": {"Naam": "Winkel", "Telefoonnummer": "+32 460 23 42 91", "Klant": ["recK"]},
            "rec2": {"Naam": "Atelier", "Telefoonnummer": "0460 23 42 92", "Klant": ["recK"]},
        },
    )
    return base
