"""Links are visible in both linked records."""

import pytest
from pyairtable import Api

from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.sample.bases import LINKED_BASE_ID, linked_base
from sandbox.airtable.server import Sandbox


@pytest.fixture
def base() -> Base:
    return linked_base()


def linked(table: Table, record_id: str, field: str) -> list[str]:
    return list(table.values(record_id).get(field, []))


def test_a_link_is_visible_in_the_linked_record(base: Base) -> None:
    variables = base.table("dynamic_variables").create({"name": "new"})
    client = base.table("client").create({"name": "New", "dynamic_variables": [variables.id]})
    assert linked(base.table("dynamic_variables"), variables.id, "client") == [client.id]


def test_a_link_made_in_the_inverse_field_is_visible_in_the_first_one(base: Base) -> None:
    client = base.table("client").create({"name": "New"})
    variables = base.table("dynamic_variables").create({"name": "new", "client": [client.id]})
    assert linked(base.table("client"), client.id, "dynamic_variables") == [variables.id]


def test_a_moved_link_is_removed_from_the_old_record(base: Base) -> None:
    table = base.table("dynamic_variables")
    old, new = table.create({"name": "old"}), table.create({"name": "new"})
    client = base.table("client").create({"name": "New", "dynamic_variables": [old.id]})
    base.table("client").update(client.id, {"dynamic_variables": [new.id]})
    assert linked(table, old.id, "client") == []
    assert linked(table, new.id, "client") == [client.id]


def test_deleting_a_record_removes_the_links_to_it(base: Base) -> None:
    number = next(iter(base.table("twilio_number").records))
    [client] = linked(base.table("twilio_number"), number, "client")
    [variables] = linked(base.table("client"), client, "dynamic_variables")
    base.table("client").delete(client)
    assert linked(base.table("twilio_number"), number, "client") == []
    assert linked(base.table("dynamic_variables"), variables, "client") == []


def test_links_work_after_renaming_a_field_or_a_table(base: Base) -> None:
    base.rename_field("dynamic_variables", "client", "owner")
    base.rename_table("dynamic_variables", "variables")
    variables = base.table("variables").create({"name": "new"})
    client = base.table("client").create({"name": "New", "dynamic_variables": [variables.id]})
    assert linked(base.table("variables"), variables.id, "owner") == [client.id]


def test_a_link_within_one_table_has_an_inverse(people_of_pairs: Table) -> None:
    ann = people_of_pairs.create({"Name": "Ann"})
    ben = people_of_pairs.create({"Name": "Ben", "Boss": [ann.id]})
    assert linked(people_of_pairs, ann.id, "Reports") == [ben.id]


@pytest.fixture
def people_of_pairs() -> Table:
    boss = Field("Boss", "multipleRecordLinks", links_to="People", inverse="Reports")
    reports = Field("Reports", "multipleRecordLinks", links_to="People", inverse="Boss")
    return Base("appPairs000000000", "", [Table("People", [Field("Name"), boss, reports])]).tables[
        0
    ]


def test_removing_a_link_field_keeps_its_inverse(base: Base) -> None:
    base.table("dynamic_variables").remove_field("client")
    variables = base.table("dynamic_variables").create({"name": "new"})
    client = base.table("client").create({"name": "New", "dynamic_variables": [variables.id]})
    assert linked(base.table("client"), client.id, "dynamic_variables") == [variables.id]


def test_links_written_over_http_update_the_inverse(api: Api, sandbox: Sandbox) -> None:
    client = api.table(LINKED_BASE_ID, "client").create({"name": "New"})
    variables = api.table(LINKED_BASE_ID, "dynamic_variables")
    created = variables.create({"name": "new", "client": [client["id"]]})
    shown = api.table(LINKED_BASE_ID, "client").get(client["id"])
    assert shown["fields"]["dynamic_variables"] == [created["id"]]
