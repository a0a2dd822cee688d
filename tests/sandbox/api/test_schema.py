"""The routes whoami, bases and schema, with pyairtable as the client."""

from typing import Any

from pyairtable import Api

from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.sample.bases import LINKED_BASE_ID
from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import PEOPLE


def test_whoami_names_the_user(api: Api) -> None:
    assert api.whoami()["id"].startswith("usr")


def test_all_bases_are_listed(api: Api) -> None:
    assert {base.id: base.permission_level for base in api.bases()} == {
        LINKED_BASE_ID: "create",
        PEOPLE: "create",
    }


def test_the_schema_names_tables_fields_and_views(api: Api, people: Table) -> None:
    table = api.base(PEOPLE).schema().table("People")
    assert table.id == people.id
    assert table.primary_field_id == people.fields[0].id
    assert [field.name for field in table.fields] == [field.name for field in people.fields]
    assert table.view("Grid view").visible_field_ids == [field.id for field in people.fields]


def test_links_name_their_table_and_their_inverse(api: Api, sandbox: Sandbox) -> None:
    schema = api.base(LINKED_BASE_ID).schema()
    other = sandbox.base(LINKED_BASE_ID).table("dynamic_variables")
    link: Any = schema.table("client").field("dynamic_variables")
    assert link.type == "multipleRecordLinks"
    assert link.options.linked_table_id == other.id
    assert link.options.inverse_link_field_id == other.field("client").id
    assert link.options.prefers_single_record_link is True


def test_choices_are_listed(api: Api) -> None:
    field: Any = api.base(LINKED_BASE_ID).schema().table("dynamic_variables").field("account_type")
    assert field.type == "singleSelect"
    assert [choice.name for choice in field.options.choices] == ["basic", "standard", "premium"]


def test_a_renamed_field_keeps_its_id_and_its_values(
    api: Api, people: Table, sandbox: Sandbox
) -> None:
    before = people.field("Phone").id
    sandbox.base(PEOPLE).rename_field("People", "Phone", "Telephone")
    assert api.base(PEOPLE).schema().table("People").field("Telephone").id == before
    record = api.table(PEOPLE, "People").all(fields=[before])[0]
    assert record["fields"] == {"Telephone": "(415) 555-2671"}


def test_a_removed_field_is_gone_from_records_and_schema(api: Api, people: Table) -> None:
    people.remove_field("Age")
    assert all("Age" not in each["fields"] for each in api.table(PEOPLE, "People").all())
    assert "Age" not in [each.name for each in api.base(PEOPLE).schema().table("People").fields]


def test_a_new_field_is_in_the_schema(api: Api, people: Table) -> None:
    people.add_field(Field("Mood", description="today"))
    field = api.base(PEOPLE).schema().table("People").field("Mood")
    assert field.description == "today"
