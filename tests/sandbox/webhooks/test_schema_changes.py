"""Changes of fields and tables in payloads, and what makes a webhook invalid."""

import pytest

from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.record_values import RecordValues
from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.sample.bases import LINKED_BASE_ID
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.webhook import Webhook
from tests.sandbox.conftest import PEOPLE
from tests.sandbox.webhook_support import (
    base_with_computed_fields,
    changed,
    contents,
    specification,
    watch,
)


@pytest.fixture
def base(sandbox: Sandbox) -> Base:
    return sandbox.base(PEOPLE)


@pytest.fixture
def webhook(sandbox: Sandbox, base: Base) -> Webhook:
    return watch(sandbox, base, specification())


def test_a_new_field_is_reported(webhook: Webhook, people: Table) -> None:
    field = people.add_field(Field("Mood", "multilineText"))
    reported = changed(webhook, people.id)
    assert reported == {"createdFieldsById": {field.id: {"name": "Mood", "type": "multilineText"}}}


def test_a_renamed_field_is_reported_with_its_old_name_on_request(
    sandbox: Sandbox, base: Base, webhook: Webhook, people: Table
) -> None:
    includes = {"includePreviousFieldDefinitions": True}
    detailed = watch(sandbox, base, specification("tableFields", includes=includes))
    field = people.field("Age")
    base.rename_field("People", "Age", "Years")
    assert changed(webhook, people.id) == {
        "changedFieldsById": {field.id: {"current": {"name": "Years"}}}
    }
    assert changed(detailed, people.id)["changedFieldsById"][field.id] == {
        "current": {"name": "Years"},
        "previous": {"name": "Age"},
    }


def test_a_new_field_type_is_reported(webhook: Webhook, people: Table) -> None:
    people.change_field_type("Age", "singleLineText")
    [reported] = changed(webhook, people.id)["changedFieldsById"].values()
    assert reported == {"current": {"type": "singleLineText"}}


def test_a_removed_field_is_reported_without_its_cells(webhook: Webhook, people: Table) -> None:
    field = people.field("Age")
    people.remove_field("Age")
    assert changed(webhook, people.id) == {"destroyedFieldIds": [field.id]}


def test_a_renamed_table_is_reported(webhook: Webhook, people: Table, base: Base) -> None:
    base.rename_table("People", "Persons")
    assert changed(webhook, people.id) == {
        "changedMetadata": {"current": {"name": "Persons"}, "previous": {"name": "People"}}
    }


def test_new_and_removed_tables_are_reported(webhook: Webhook, base: Base) -> None:
    table = base.add_table(Table("Pets", [Field("Name")]))
    base.remove_table("Pets")
    created, removed = contents(webhook)
    assert created["createdTablesById"] == {
        table.id: {
            "metadata": {"name": "Pets", "description": None},
            "fieldsById": {table.fields[0].id: {"name": "Name", "type": "singleLineText"}},
        }
    }
    assert removed["destroyedTableIds"] == [table.id]


def test_links_to_a_removed_table_become_text(sandbox: Sandbox) -> None:
    base = sandbox.base(LINKED_BASE_ID)
    webhook = watch(sandbox, base, specification())
    clients = base.table("client")
    client = next(iter(clients.records))
    base.remove_table("dynamic_variables")
    assert str(clients.values(client)["dynamic_variables"]).endswith(" variables")
    reported = contents(webhook)[0]["changedTablesById"][clients.id]
    field_id = clients.field("dynamic_variables").id
    assert reported["changedFieldsById"][field_id] == {"current": {"type": "singleLineText"}}


@pytest.mark.parametrize("gone", ["link", "source", "table"])
def test_a_lookup_with_a_missing_link_or_field_is_reported_as_an_error(gone: str) -> None:
    base = base_with_computed_fields("")
    owners, clients, _ = base.tables
    client = clients.create({"Name": "Ann", "Plan": "Gold"}).id
    owner = owners.create({"Name": "Olga", "Clients": [client]})
    webhook = watch(Sandbox([base]), base, specification())
    with base.transaction():
        owners.update(owner.id, {"Name": "Otto"})
        if gone == "link":
            owners.remove_field("Clients")
        elif gone == "source":
            clients.remove_field("Plan")
        else:
            base.remove_table("Clients")
    plans = owners.field("Plans")
    shown = RecordValues(owners, owner).cell(plans)
    assert shown == ([] if gone == "table" else {"error": "#ERROR!"})
    reported = contents(webhook)[-1]["changedTablesById"][owners.id]["changedRecordsById"][owner.id]
    assert reported["current"]["cellValuesByFieldId"][plans.id] == (shown or None)


@pytest.mark.parametrize(
    ("data_type", "expected"),
    [
        ("tableData", "createdRecordsById"),
        ("tableFields", "createdFieldsById"),
        ("tableMetadata", "changedMetadata"),
    ],
)
def test_a_webhook_reports_only_its_data_types(
    data_type: str, expected: str, sandbox: Sandbox, base: Base, people: Table
) -> None:
    webhook = watch(sandbox, base, specification(data_type))
    with base.transaction():
        people.create({"Name": "Dora"})
        people.add_field(Field("Mood"))
        base.rename_table("People", "Persons")
    assert changed(webhook, people.id).keys() == {expected}


def test_a_webhook_reports_only_the_watched_fields(
    sandbox: Sandbox, base: Base, people: Table
) -> None:
    watched = people.field("Age").id
    webhook = watch(sandbox, base, specification("tableFields", watchSchemasOfFieldIds=[watched]))
    people.rename_field("Phone", "Telephone")
    people.add_field(Field("Mood"))
    assert contents(webhook) == []
    people.rename_field("Age", "Years")
    assert changed(webhook, people.id)["changedFieldsById"].keys() == {watched}


@pytest.mark.parametrize("looks_enabled", [True, False])
def test_a_webhook_becomes_invalid_when_its_field_is_removed(
    looks_enabled: bool, sandbox: Sandbox, base: Base, people: Table
) -> None:
    sandbox.webhooks.configure(invalid_webhooks_look_enabled=looks_enabled)
    watched = [people.field("Age").id]
    webhook = watch(sandbox, base, specification("tableData", watchDataInFieldIds=watched))
    people.remove_field("Age")
    people.create({"Name": "Dora"})
    [content] = contents(webhook)
    assert (content["error"], content["code"]) == (True, "INVALID_HOOK")
    assert content["timestamp"].endswith("Z")
    assert webhook.is_invalid


def test_a_webhook_becomes_invalid_when_its_table_is_removed(sandbox: Sandbox, base: Base) -> None:
    table = base.add_table(Table("Pets", [Field("Name")]))
    webhook = watch(sandbox, base, specification(recordChangeScope=table.id))
    base.remove_table("Pets")
    assert [content["code"] for content in contents(webhook)] == ["INVALID_HOOK"]


def test_a_webhook_stays_valid_when_other_fields_and_tables_are_removed(
    webhook: Webhook, base: Base, people: Table
) -> None:
    people.remove_field("Age")
    base.remove_table("People")
    assert not webhook.is_invalid
    assert len(contents(webhook)) == 2
