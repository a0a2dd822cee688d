"""Changes of computed cells are reported in separate payloads after the edit."""

from typing import Any

import pytest

from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.webhook import Webhook
from tests.sandbox.webhook_support import base_with_computed_fields, contents, specification, watch

BOTH_WAYS = pytest.mark.parametrize("inverse", ["Owners", ""])


def reported(webhook: Webhook, table: Table, record_id: str, which: int) -> dict[str, Any]:
    changed = contents(webhook)[which]["changedTablesById"][table.id]["changedRecordsById"]
    cells = changed[record_id]["current"]["cellValuesByFieldId"]
    names = {field.id: field.name for field in table.fields}
    return {names[field_id]: value for field_id, value in cells.items()}


@BOTH_WAYS
def test_lookups_change_through_one_link_and_through_two(inverse: str) -> None:
    base = base_with_computed_fields(inverse)
    owners, clients, houses = base.tables
    client = clients.create({"Name": "Ann", "Plan": "Gold"}).id
    owner = owners.create({"Name": "Olga", "Clients": [client]}).id
    house = houses.create({"Street": "Main", "Owner": [owner]}).id
    webhook = watch(Sandbox([base]), base, specification())
    clients.update(client, {"Plan": "Tin"})
    first, second = contents(webhook)
    assert first["changedTablesById"].keys() == {clients.id}
    assert second["changedTablesById"].keys() == {owners.id, houses.id}
    assert first["baseTransactionNumber"] == second["baseTransactionNumber"]
    plans = reported(webhook, owners, owner, 1)["Plans"]
    assert plans["linkedRecordIds"] == [client]
    assert [each["name"] for each in plans["valuesByLinkedRecordId"][client]] == ["Tin"]
    far = reported(webhook, houses, house, 1)["Plans"]
    assert far["linkedRecordIds"] == [owner]


@BOTH_WAYS
def test_a_new_link_changes_lookup_and_count(inverse: str) -> None:
    base = base_with_computed_fields(inverse)
    owners, clients, _ = base.tables
    client = clients.create({"Name": "Ann", "Plan": "Gold"}).id
    owner = owners.create({"Name": "Olga"}).id
    webhook = watch(Sandbox([base]), base, specification())
    owners.update(owner, {"Clients": [client]})
    assert reported(webhook, owners, owner, 0) == {"Clients": [{"id": client, "name": "Ann"}]}
    assert reported(webhook, owners, owner, 1).keys() == {"Plans", "How many"}


@BOTH_WAYS
def test_a_deleted_record_changes_lookup_and_count(inverse: str) -> None:
    base = base_with_computed_fields(inverse)
    owners, clients, _ = base.tables
    client = clients.create({"Name": "Ann", "Plan": "Gold"}).id
    owner = owners.create({"Name": "Olga", "Clients": [client]}).id
    webhook = watch(Sandbox([base]), base, specification())
    clients.delete(client)
    assert reported(webhook, owners, owner, 0) == {"Clients": None}
    assert reported(webhook, owners, owner, 1) == {"Plans": None, "How many": 0}


def test_formulas_of_a_new_record_are_reported_after_its_other_cells() -> None:
    base = base_with_computed_fields("")
    owners = base.table("Owners")
    webhook = watch(Sandbox([base]), base, specification())
    owner = owners.create({"Name": "Olga"})
    created = contents(webhook)[0]["changedTablesById"][owners.id]["createdRecordsById"][owner.id]
    assert created["cellValuesByFieldId"][owners.field("Number").id] == 1
    assert reported(webhook, owners, owner.id, 1) == {"Loud": "OLGA", "How many": 0}


def test_all_cells_of_a_new_formula_field_are_reported() -> None:
    base = base_with_computed_fields("")
    owners = base.table("Owners")
    ids = [owners.create({"Name": name}).id for name in ("Olga", "Otto")]
    webhook = watch(Sandbox([base]), base, specification())
    owners.add_field(Field("Quiet", "formula", options={"formula": "LOWER({Name})"}))
    assert [reported(webhook, owners, id_, 1) for id_ in ids] == [
        {"Quiet": "olga"},
        {"Quiet": "otto"},
    ]


def test_a_circle_of_lookups_does_not_loop_forever() -> None:
    through = {"recordLinkFieldId": "Peer", "fieldIdInLinkedTable": "Echo"}
    fields = [
        Field("Name"),
        Field("Peer", "multipleRecordLinks", links_to="Peers"),
        Field("Echo", "multipleLookupValues", options=through),
    ]
    base = Base("appCircle00000000", "", [Table("Peers", fields)])
    peers = base.table("Peers")
    ann = peers.create({"Name": "Ann"}).id
    ben = peers.create({"Name": "Ben", "Peer": [ann]}).id
    peers.update(ann, {"Peer": [ben]})
    webhook = watch(Sandbox([base]), base, specification())
    peers.update(ann, {"Name": "Anna"})
    assert contents(webhook)
