"""Computed cells follow an edit in payloads of their own."""

from typing import Any

import pytest

from sandbox.airtable.bases import Base, Field, Table
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.hook import Webhook
from tests.sandbox.feed import contents, specification, watch

BOTH_WAYS = pytest.mark.parametrize("inverse", ["Owners", ""])


def base_with(inverse: str) -> Base:
    """Owners see their clients' plans, and houses their owners' plans, all of it computed."""
    through = {"recordLinkFieldId": "Clients"}
    owners = [
        Field("Name"),
        Field("Clients", "multipleRecordLinks", links_to="Clients", inverse=inverse),
        Field("Plans", "multipleLookupValues", options=through | {"fieldIdInLinkedTable": "Plan"}),
        Field("How many", "count", options=through),
        Field("Number", "autoNumber"),
        Field("Loud", "formula", options={"formula": "UPPER({Name})"}),
    ]
    clients = [Field("Name"), Field("Plan", "singleSelect")]
    if inverse:
        clients.append(Field("Owners", "multipleRecordLinks", links_to="Owners", inverse="Clients"))
    reach = {"recordLinkFieldId": "Owner", "fieldIdInLinkedTable": "Plans"}
    houses = [
        Field("Street"),
        Field("Owner", "multipleRecordLinks", links_to="Owners"),
        Field("Plans", "multipleLookupValues", options=reach),
    ]
    tables = [Table("Owners", owners), Table("Clients", clients), Table("Houses", houses)]
    return Base("appComputed000000", "", tables)


def told(hook: Webhook, table: Table, record_id: str, which: int) -> dict[str, Any]:
    changed = contents(hook)[which]["changedTablesById"][table.id]["changedRecordsById"]
    cells = changed[record_id]["current"]["cellValuesByFieldId"]
    names = {field.id: field.name for field in table.fields}
    return {names[field_id]: value for field_id, value in cells.items()}


@BOTH_WAYS
def test_a_lookup_follows_near_and_far(inverse: str) -> None:
    base = base_with(inverse)
    owners, clients, houses = base.tables
    client = clients.create({"Name": "Ann", "Plan": "Gold"}).id
    owner = owners.create({"Name": "Olga", "Clients": [client]}).id
    house = houses.create({"Street": "Main", "Owner": [owner]}).id
    hook = watch(Sandbox([base]), base, specification())
    clients.update(client, {"Plan": "Tin"})
    first, second = contents(hook)
    assert first["changedTablesById"].keys() == {clients.id}
    assert second["changedTablesById"].keys() == {owners.id, houses.id}
    assert first["baseTransactionNumber"] == second["baseTransactionNumber"]
    plans = told(hook, owners, owner, 1)["Plans"]
    assert plans["linkedRecordIds"] == [client]
    assert [each["name"] for each in plans["valuesByLinkedRecordId"][client]] == ["Tin"]
    far = told(hook, houses, house, 1)["Plans"]
    assert far["linkedRecordIds"] == [owner]


@BOTH_WAYS
def test_a_new_link_changes_lookup_and_count(inverse: str) -> None:
    base = base_with(inverse)
    owners, clients, _ = base.tables
    client = clients.create({"Name": "Ann", "Plan": "Gold"}).id
    owner = owners.create({"Name": "Olga"}).id
    hook = watch(Sandbox([base]), base, specification())
    owners.update(owner, {"Clients": [client]})
    assert told(hook, owners, owner, 0) == {"Clients": [{"id": client, "name": "Ann"}]}
    assert told(hook, owners, owner, 1).keys() == {"Plans", "How many"}


@BOTH_WAYS
def test_a_deleted_record_leaves_lookup_and_count(inverse: str) -> None:
    base = base_with(inverse)
    owners, clients, _ = base.tables
    client = clients.create({"Name": "Ann", "Plan": "Gold"}).id
    owner = owners.create({"Name": "Olga", "Clients": [client]}).id
    hook = watch(Sandbox([base]), base, specification())
    clients.delete(client)
    assert told(hook, owners, owner, 0) == {"Clients": None}
    assert told(hook, owners, owner, 1) == {"Plans": None, "How many": 0}


def test_a_new_record_is_born_with_its_number_and_its_formulas_follow() -> None:
    base = base_with("")
    owners = base.table("Owners")
    hook = watch(Sandbox([base]), base, specification())
    owner = owners.create({"Name": "Olga"})
    created = contents(hook)[0]["changedTablesById"][owners.id]["createdRecordsById"][owner.id]
    assert created["cellValuesByFieldId"][owners.field("Number").id] == 1
    assert told(hook, owners, owner.id, 1) == {"Loud": "OLGA", "How many": 0}


def test_a_new_formula_field_tells_all_its_cells() -> None:
    base = base_with("")
    owners = base.table("Owners")
    ids = [owners.create({"Name": name}).id for name in ("Olga", "Otto")]
    hook = watch(Sandbox([base]), base, specification())
    owners.add_field(Field("Quiet", "formula", options={"formula": "LOWER({Name})"}))
    assert [told(hook, owners, id_, 1) for id_ in ids] == [{"Quiet": "olga"}, {"Quiet": "otto"}]


def test_a_circle_of_lookups_ends() -> None:
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
    hook = watch(Sandbox([base]), base, specification())
    peers.update(ann, {"Name": "Anna"})
    assert contents(hook)
