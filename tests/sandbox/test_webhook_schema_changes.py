"""What a hook is told of fields and tables, and what ends it."""

import pytest

from sandbox.airtable.bases import Base, Field, Table
from sandbox.airtable.rows import Row
from sandbox.airtable.sample import LINKED_BASE_ID
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.hook import Webhook
from tests.sandbox.conftest import PEOPLE
from tests.sandbox.feed import changed, contents, specification, watch
from tests.sandbox.test_webhook_computed_fields import base_with


@pytest.fixture
def base(sandbox: Sandbox) -> Base:
    return sandbox.base(PEOPLE)


@pytest.fixture
def hook(sandbox: Sandbox, base: Base) -> Webhook:
    return watch(sandbox, base, specification())


def test_a_new_field_is_told(hook: Webhook, people: Table) -> None:
    field = people.add_field(Field("Mood", "multilineText"))
    told = changed(hook, people.id)
    assert told == {"createdFieldsById": {field.id: {"name": "Mood", "type": "multilineText"}}}


def test_a_renamed_field_is_told_with_its_old_name_if_wanted(
    sandbox: Sandbox, base: Base, hook: Webhook, people: Table
) -> None:
    includes = {"includePreviousFieldDefinitions": True}
    curious = watch(sandbox, base, specification("tableFields", includes=includes))
    field = people.field("Age")
    base.rename_field("People", "Age", "Years")
    assert changed(hook, people.id) == {
        "changedFieldsById": {field.id: {"current": {"name": "Years"}}}
    }
    assert changed(curious, people.id)["changedFieldsById"][field.id] == {
        "current": {"name": "Years"},
        "previous": {"name": "Age"},
    }


def test_a_new_type_is_told(hook: Webhook, people: Table) -> None:
    people.retype_field("Age", "singleLineText")
    [told] = changed(hook, people.id)["changedFieldsById"].values()
    assert told == {"current": {"type": "singleLineText"}}


def test_a_removed_field_is_told_and_not_its_cells(hook: Webhook, people: Table) -> None:
    field = people.field("Age")
    people.remove_field("Age")
    assert changed(hook, people.id) == {"destroyedFieldIds": [field.id]}


def test_a_renamed_table_is_told(hook: Webhook, people: Table, base: Base) -> None:
    base.rename_table("People", "Persons")
    assert changed(hook, people.id) == {
        "changedMetadata": {"current": {"name": "Persons"}, "previous": {"name": "People"}}
    }


def test_new_and_removed_tables_are_told(hook: Webhook, base: Base) -> None:
    table = base.add_table(Table("Pets", [Field("Name")]))
    base.remove_table("Pets")
    created, removed = contents(hook)
    assert created["createdTablesById"] == {
        table.id: {
            "metadata": {"name": "Pets", "description": None},
            "fieldsById": {table.fields[0].id: {"name": "Name", "type": "singleLineText"}},
        }
    }
    assert removed["destroyedTableIds"] == [table.id]


def test_links_to_a_removed_table_become_text(sandbox: Sandbox) -> None:
    base = sandbox.base(LINKED_BASE_ID)
    hook = watch(sandbox, base, specification())
    clients = base.table("client")
    client = next(iter(clients.records))
    base.remove_table("dynamic_variables")
    assert str(clients.values(client)["dynamic_variables"]).endswith(" variables")
    told = contents(hook)[0]["changedTablesById"][clients.id]
    field_id = clients.field("dynamic_variables").id
    assert told["changedFieldsById"][field_id] == {"current": {"type": "singleLineText"}}


@pytest.mark.parametrize("gone", ["link", "source", "table"])
def test_a_lookup_that_lost_its_way_shows_an_error_and_is_told(gone: str) -> None:
    base = base_with("")
    owners, clients, _ = base.tables
    client = clients.create({"Name": "Ann", "Plan": "Gold"}).id
    owner = owners.create({"Name": "Olga", "Clients": [client]})
    hook = watch(Sandbox([base]), base, specification())
    with base.action():
        owners.update(owner.id, {"Name": "Otto"})
        if gone == "link":
            owners.remove_field("Clients")
        elif gone == "source":
            clients.remove_field("Plan")
        else:
            base.remove_table("Clients")
    plans = owners.field("Plans")
    shown = Row(owners, owner).cell(plans)
    assert shown == ([] if gone == "table" else {"error": "#ERROR!"})
    told = contents(hook)[-1]["changedTablesById"][owners.id]["changedRecordsById"][owner.id]
    assert told["current"]["cellValuesByFieldId"][plans.id] == (shown or None)


@pytest.mark.parametrize(
    ("data_type", "expected"),
    [
        ("tableData", "createdRecordsById"),
        ("tableFields", "createdFieldsById"),
        ("tableMetadata", "changedMetadata"),
    ],
)
def test_a_hook_hears_of_the_data_types_it_wants(
    data_type: str, expected: str, sandbox: Sandbox, base: Base, people: Table
) -> None:
    hook = watch(sandbox, base, specification(data_type))
    with base.action():
        people.create({"Name": "Dora"})
        people.add_field(Field("Mood"))
        base.rename_table("People", "Persons")
    assert changed(hook, people.id).keys() == {expected}


def test_a_hook_hears_of_the_fields_it_watches(sandbox: Sandbox, base: Base, people: Table) -> None:
    watched = people.field("Age").id
    hook = watch(sandbox, base, specification("tableFields", watchSchemasOfFieldIds=[watched]))
    people.rename_field("Phone", "Telephone")
    people.add_field(Field("Mood"))
    assert contents(hook) == []
    people.rename_field("Age", "Years")
    assert changed(hook, people.id)["changedFieldsById"].keys() == {watched}


@pytest.mark.parametrize("looks_enabled", [True, False])
def test_a_hook_whose_field_goes_is_invalid_and_silent(
    looks_enabled: bool, sandbox: Sandbox, base: Base, people: Table
) -> None:
    sandbox.webhooks.configure(invalid_hooks_look_enabled=looks_enabled)
    watched = [people.field("Age").id]
    hook = watch(sandbox, base, specification("tableData", watchDataInFieldIds=watched))
    people.remove_field("Age")
    people.create({"Name": "Dora"})
    [content] = contents(hook)
    assert (content["error"], content["code"]) == (True, "INVALID_HOOK")
    assert content["timestamp"].endswith("Z")
    assert hook.invalid


def test_a_hook_whose_table_goes_is_invalid(sandbox: Sandbox, base: Base) -> None:
    table = base.add_table(Table("Pets", [Field("Name")]))
    hook = watch(sandbox, base, specification(recordChangeScope=table.id))
    base.remove_table("Pets")
    assert [content["code"] for content in contents(hook)] == ["INVALID_HOOK"]


def test_a_hook_of_the_base_survives_what_it_does_not_name(
    hook: Webhook, base: Base, people: Table
) -> None:
    people.remove_field("Age")
    base.remove_table("People")
    assert not hook.invalid
    assert len(contents(hook)) == 2
