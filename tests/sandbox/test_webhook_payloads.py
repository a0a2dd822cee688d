"""What a hook is told of edits."""

from typing import Any

import pytest

from sandbox.airtable.bases import Base, Field, Table
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.hook import Webhook
from tests.sandbox.conftest import PEOPLE, Asker
from tests.sandbox.feed import changed, contents, specification, watch

PATH = f"/v0/{PEOPLE}/People"


@pytest.fixture
def base(sandbox: Sandbox) -> Base:
    return sandbox.base(PEOPLE)


@pytest.fixture
def hook(sandbox: Sandbox, base: Base) -> Webhook:
    return watch(sandbox, base, specification(includes={"includePreviousCellValues": True}))


def by_name(people: Table, cells: dict[str, Any]) -> dict[str, Any]:
    names = {field.id: field.name for field in people.fields}
    return {names[field_id]: value for field_id, value in cells.items()}


def alice(people: Table) -> str:
    return next(iter(people.records))


def test_an_update_tells_the_cells_that_changed(hook: Webhook, people: Table) -> None:
    people.update(alice(people), {"Age": 35, "Active": False, "Name": "Alice"})
    told = changed(hook, people.id)["changedRecordsById"][alice(people)]
    assert by_name(people, told["current"]["cellValuesByFieldId"]) == {"Age": 35, "Active": None}
    assert by_name(people, told["previous"]["cellValuesByFieldId"]) == {"Age": 34, "Active": True}


def test_a_payload_says_when_who_and_in_which_transaction(
    hook: Webhook, people: Table, ask: Asker
) -> None:
    people.update(alice(people), {"Age": 35})
    ask.get(PATH)  # reading is no transaction
    people.update(alice(people), {"Age": 36})
    first, second = contents(hook)
    assert first["payloadFormat"] == "v0"
    assert first["timestamp"].endswith("Z")
    assert first["actionMetadata"]["source"] == "client"
    assert first["actionMetadata"]["sourceMetadata"]["user"]["id"].startswith("usr")
    assert second["baseTransactionNumber"] == first["baseTransactionNumber"] + 1


def test_an_edit_that_changes_nothing_is_not_told(hook: Webhook, people: Table, base: Base) -> None:
    people.update(alice(people), {"Age": 34})
    with base.action():
        people.update(alice(people), {"Age": 99})
        people.update(alice(people), {"Age": 34})
        people.delete(people.create({"Name": "Dora"}).id)
    assert contents(hook) == []


def test_a_new_record_tells_its_filled_cells(hook: Webhook, people: Table) -> None:
    record = people.create({"Name": "Dora", "Plan": "Gold", "Friends": [alice(people)], "Age": 0})
    told = changed(hook, people.id)["createdRecordsById"][record.id]
    assert told["createdTime"].endswith("Z")
    cells = by_name(people, told["cellValuesByFieldId"])
    assert cells.pop("Plan").keys() == {"id", "name"}
    assert cells == {"Name": "Dora", "Friends": [{"id": alice(people), "name": "Alice"}], "Age": 0}


def test_a_deleted_record_takes_the_links_to_it_along(hook: Webhook, people: Table) -> None:
    gone, bob, charlie = people.records
    people.delete(gone)
    told = changed(hook, people.id)
    assert told["destroyedRecordIds"] == [gone]
    assert told["changedRecordsById"].keys() == {bob, charlie}
    before = told["changedRecordsById"][bob]["previous"]["cellValuesByFieldId"]
    assert by_name(people, before) == {"Friends": [{"id": gone, "name": "Alice"}]}


def test_edits_over_http_come_from_the_public_api_in_one_transaction(
    hook: Webhook, people: Table, ask: Asker
) -> None:
    records = [{"id": id_, "fields": {"Age": 1}} for id_ in people.records]
    assert ask("PATCH", PATH, json={"records": records}).ok
    assert changed(hook, people.id)["changedRecordsById"].keys() == set(people.records)
    assert contents(hook)[0]["actionMetadata"]["source"] == "publicApi"


def test_a_refused_edit_tells_nothing(hook: Webhook, ask: Asker) -> None:
    assert ask.post(PATH, json={"fields": {"Nobody": 1}}).status_code == 422
    assert contents(hook) == []


def test_several_edits_may_be_one_action(hook: Webhook, people: Table, base: Base) -> None:
    with base.action("automation"):
        record = people.create({"Name": "Dora"})
        people.update(record.id, {"Age": 5})
        people.update(alice(people), {"Friends": [record.id]})
    told = changed(hook, people.id)
    assert by_name(people, told["createdRecordsById"][record.id]["cellValuesByFieldId"]) == {
        "Name": "Dora",
        "Age": 5,
    }
    assert contents(hook)[0]["actionMetadata"] == {"source": "automation"}


def test_an_action_of_many_records_is_told_in_several_payloads(
    sandbox: Sandbox, hook: Webhook, people: Table, base: Base
) -> None:
    sandbox.webhooks.configure(records_per_payload=4)
    with base.action("sync"):
        for number in range(10):
            people.create({"Name": str(number)})
    sizes = [
        len(each["changedTablesById"][people.id]["createdRecordsById"]) for each in contents(hook)
    ]
    assert sizes == [4, 4, 2]
    assert len({each["baseTransactionNumber"] for each in contents(hook)}) == 1
    assert len({each["timestamp"] for each in contents(hook)}) <= 2


def test_choices_have_their_id_and_colour(hook: Webhook, people: Table) -> None:
    people.field("Plan").options["choices"].append({"id": "selBlue", "name": "B", "color": "blue"})
    people.update(alice(people), {"Plan": "B"})
    told = changed(hook, people.id)["changedRecordsById"][alice(people)]["current"]
    assert by_name(people, told["cellValuesByFieldId"])["Plan"] == {
        "id": "selBlue",
        "name": "B",
        "color": "blue",
    }


def test_the_first_edits_after_the_last_hook_cost_nothing(sandbox: Sandbox, base: Base) -> None:
    hook = watch(sandbox, base, specification())
    assert len(base.journal.listeners) == 1
    sandbox.webhooks.delete(hook.id)
    assert base.journal.listeners == []


@pytest.mark.parametrize(
    ("change_types", "expected"),
    [
        (["add"], {"createdRecordsById"}),
        (["update"], {"changedRecordsById"}),
        (["remove"], {"destroyedRecordIds"}),
        (["add", "remove"], {"createdRecordsById", "destroyedRecordIds"}),
    ],
)
def test_a_hook_hears_of_the_kinds_of_change_it_wants(
    change_types: list[str], expected: set[str], sandbox: Sandbox, people: Table, base: Base
) -> None:
    hook = watch(sandbox, base, specification("tableData", changeTypes=change_types))
    with base.action():
        people.create({"Name": "Dora"})
        people.delete(list(people.records)[1])
        people.update(alice(people), {"Age": 1})
    assert changed(hook, people.id).keys() == expected


def test_a_hook_hears_of_the_sources_it_wants(
    sandbox: Sandbox, people: Table, base: Base, ask: Asker
) -> None:
    hook = watch(sandbox, base, specification(fromSources=["publicApi"]))
    people.update(alice(people), {"Age": 1})
    assert contents(hook) == []
    ask("PATCH", f"{PATH}/{alice(people)}", json={"fields": {"Age": 2}})
    assert len(contents(hook)) == 1


def test_a_hook_hears_of_its_table_alone(sandbox: Sandbox, people: Table, base: Base) -> None:
    other = base.add_table(Table("Other", [Field("Name")]))
    hook = watch(sandbox, base, specification(recordChangeScope=other.id))
    people.update(alice(people), {"Age": 1})
    people.add_field(Field("Mood"))
    base.add_table(Table("Third", [Field("Name")]))
    base.remove_table("Third")
    assert contents(hook) == []
    record = other.create({"Name": "x"})
    assert record.id in changed(hook, other.id)["createdRecordsById"]


def test_a_hook_hears_of_the_cells_it_watches(sandbox: Sandbox, people: Table, base: Base) -> None:
    watched = [people.field("Phone").id]
    hook = watch(sandbox, base, specification("tableData", watchDataInFieldIds=watched))
    people.update(alice(people), {"Age": 1})
    people.create({"Name": "Dora"})
    assert contents(hook) == []
    people.update(alice(people), {"Age": 2, "Phone": "1"})
    told = changed(hook, people.id)["changedRecordsById"][alice(people)]
    assert told == {"current": {"cellValuesByFieldId": {watched[0]: "1"}}}


@pytest.mark.parametrize("every", [True, False])
def test_cells_that_did_not_change_may_be_included(
    every: bool, sandbox: Sandbox, people: Table, base: Base
) -> None:
    wanted = "all" if every else [people.field("Name").id, people.field("Age").id]
    includes = {"includeCellValuesInFieldIds": wanted}
    hook = watch(sandbox, base, specification("tableData", includes=includes))
    people.update(alice(people), {"Age": 1})
    told = changed(hook, people.id)["changedRecordsById"][alice(people)]
    assert "previous" not in told
    unchanged = by_name(people, told["unchanged"]["cellValuesByFieldId"])
    assert unchanged.pop("Name") == "Alice"
    assert bool(unchanged) is every
    assert "Age" not in unchanged
