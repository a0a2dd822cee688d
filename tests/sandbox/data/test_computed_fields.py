"""Computed fields: formula, lookup, count, autonumber and times."""

from typing import Any

import pytest

from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.record_values import RecordValues
from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table


@pytest.fixture
def table() -> Table:
    reach = {"recordLinkFieldId": "Clients", "fieldIdInLinkedTable": "Plan"}
    owners = [
        Field("Name"),
        Field("Clients", "multipleRecordLinks", links_to="Clients"),
        Field("Plans", "multipleLookupValues", options=reach),
        Field("How many", "count", options={"recordLinkFieldId": "Clients"}),
        Field("Number", "autoNumber"),
        Field("Loud", "formula", options={"formula": "UPPER({Name})&'!'"}),
        Field("Half", "formula", options={"formula": "{Number}/0"}),
        Field("Broken", "formula", options={"formula": "{Missing}"}),
        Field("Circle", "formula", options={"formula": "{Circle}+1"}),
        Field("Created", "createdTime"),
        Field("Edited", "lastModifiedTime"),
    ]
    clients = [Field("Name"), Field("Plan")]
    base = Base("appComputed000000", "", [Table("Owners", owners), Table("Clients", clients)])
    return base.table("Owners")


def cell(table: Table, record_id: str, name: str) -> Any:
    return RecordValues(table, table.record(record_id)).cell(table.field(name))


@pytest.fixture
def ann(table: Table) -> str:
    clients = table.base.table("Clients")
    linked = [clients.create({"Name": plan, "Plan": plan}).id for plan in ("Gold", "Tin", "")]
    return table.create({"Name": "Ann", "Clients": linked}).id


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("Plans", ["Gold", "Tin"]),
        ("How many", 3),
        ("Number", 1),
        ("Loud", "ANN!"),
        ("Half", {"specialValue": "Infinity"}),
        ("Broken", {"error": "#ERROR!"}),
        ("Circle", {"error": "#ERROR!"}),
        ("Edited", None),
    ],
)
def test_a_computed_cell_has_the_value(field: str, expected: Any, table: Table, ann: str) -> None:
    assert cell(table, ann, field) == expected


def test_a_lookup_changes_with_the_linked_record(table: Table, ann: str) -> None:
    clients = table.base.table("Clients")
    clients.update(next(iter(clients.records)), {"Plan": "Silver"})
    assert cell(table, ann, "Plans") == ["Silver", "Tin"]


def test_a_recomputed_cell_does_not_modify_the_record(table: Table, ann: str) -> None:
    clients = table.base.table("Clients")
    clients.update(next(iter(clients.records)), {"Plan": "Silver"})
    assert cell(table, ann, "Edited") is None
    table.update(ann, {"Name": "Anna"})
    assert cell(table, ann, "Edited").endswith("Z")


def test_a_test_can_put_an_error_into_a_computed_cell(table: Table, ann: str) -> None:
    table.update(ann, {"Plans": [{"error": "#ERROR!"}]})
    assert cell(table, ann, "Plans") == [{"error": "#ERROR!"}]
