"""Changes of records in payloads."""

from typing import Any

import pytest

from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.webhook import Webhook
from tests.sandbox.conftest import PEOPLE, HttpClient
from tests.sandbox.webhook_support import changed, contents, specification, watch

PATH = f"/v0/{PEOPLE}/People"


@pytest.fixture
def base(sandbox: Sandbox) -> Base:
    return sandbox.base(PEOPLE)


@pytest.fixture
def webhook(sandbox: Sandbox, base: Base) -> Webhook:
    return watch(sandbox, base, specification(includes={"includePreviousCellValues": True}))


def by_name(people: Table, cells: dict[str, Any]) -> dict[str, Any]:
    names = {field.id: field.name for field in people.fields}
    return {names[field_id]: value for field_id, value in cells.items()}


def alice(people: Table) -> str:
    return next(iter(people.records))


def test_an_update_reports_the_changed_cells(webhook: Webhook, people: Table) -> None:
    people.update(alice(people), {"Age": 35, "Active": False, "Name": "Alice"})
    reported = changed(webhook, people.id)["changedRecordsById"][alice(people)]
    assert by_name(people, reported["current"]["cellValuesByFieldId"]) == {
        "Age": 35,
        "Active": None,
    }
    assert by_name(people, reported["previous"]["cellValuesByFieldId"]) == {
        "Age": 34,
        "Active": True,
    }


def test_a_payload_has_time_user_and_transaction(
    webhook: Webhook, people: Table, http: HttpClient
) -> None:
    people.update(alice(people), {"Age": 35})
    http.get(PATH)  # reading is not a transaction
    people.update(alice(people), {"Age": 36})
    first, second = contents(webhook)
    assert first["payloadFormat"] == "v0"
    assert first["timestamp"].endswith("Z")
    assert first["actionMetadata"]["source"] == "client"
    assert first["actionMetadata"]["sourceMetadata"]["user"]["id"].startswith("usr")
    assert second["baseTransactionNumber"] == first["baseTransactionNumber"] + 1


def test_an_edit_without_a_change_is_not_reported(
    webhook: Webhook, people: Table, base: Base
) -> None:
    people.update(alice(people), {"Age": 34})
    with base.transaction():
        people.update(alice(people), {"Age": 99})
        people.update(alice(people), {"Age": 34})
        people.delete(people.create({"Name": "Dora"}).id)
    assert contents(webhook) == []


def test_a_new_record_is_reported_with_its_filled_cells(webhook: Webhook, people: Table) -> None:
    record = people.create({"Name": "Dora", "Plan": "Gold", "Friends": [alice(people)], "Age": 0})
    reported = changed(webhook, people.id)["createdRecordsById"][record.id]
    assert reported["createdTime"].endswith("Z")
    cells = by_name(people, reported["cellValuesByFieldId"])
    assert cells.pop("Plan").keys() == {"id", "name"}
    assert cells == {"Name": "Dora", "Friends": [{"id": alice(people), "name": "Alice"}], "Age": 0}


def test_a_deleted_record_is_reported_with_the_links_to_it(webhook: Webhook, people: Table) -> None:
    gone, bob, charlie = people.records
    people.delete(gone)
    reported = changed(webhook, people.id)
    assert reported["destroyedRecordIds"] == [gone]
    assert reported["changedRecordsById"].keys() == {bob, charlie}
    before = reported["changedRecordsById"][bob]["previous"]["cellValuesByFieldId"]
    assert by_name(people, before) == {"Friends": [{"id": gone, "name": "Alice"}]}


def test_edits_of_one_request_are_one_transaction_of_the_public_api(
    webhook: Webhook, people: Table, http: HttpClient
) -> None:
    records = [{"id": id_, "fields": {"Age": 1}} for id_ in people.records]
    assert http("PATCH", PATH, json={"records": records}).ok
    assert changed(webhook, people.id)["changedRecordsById"].keys() == set(people.records)
    assert contents(webhook)[0]["actionMetadata"]["source"] == "publicApi"


def test_a_rejected_edit_is_not_reported(webhook: Webhook, http: HttpClient) -> None:
    assert http.post(PATH, json={"fields": {"Missing": 1}}).status_code == 422
    assert contents(webhook) == []


def test_several_edits_can_be_one_transaction(webhook: Webhook, people: Table, base: Base) -> None:
    with base.transaction("automation"):
        record = people.create({"Name": "Dora"})
        people.update(record.id, {"Age": 5})
        people.update(alice(people), {"Friends": [record.id]})
    reported = changed(webhook, people.id)
    assert by_name(people, reported["createdRecordsById"][record.id]["cellValuesByFieldId"]) == {
        "Name": "Dora",
        "Age": 5,
    }
    assert contents(webhook)[0]["actionMetadata"] == {"source": "automation"}


def test_a_transaction_with_many_records_has_several_payloads(
    sandbox: Sandbox, webhook: Webhook, people: Table, base: Base
) -> None:
    sandbox.webhooks.configure(records_per_payload=4)
    with base.transaction("sync"):
        for number in range(10):
            people.create({"Name": str(number)})
    sizes = [
        len(each["changedTablesById"][people.id]["createdRecordsById"])
        for each in contents(webhook)
    ]
    assert sizes == [4, 4, 2]
    assert len({each["baseTransactionNumber"] for each in contents(webhook)}) == 1
    assert len({each["timestamp"] for each in contents(webhook)}) <= 2


def test_choices_have_their_id_and_color(webhook: Webhook, people: Table) -> None:
    people.field("Plan").options["choices"].append({"id": "selBlue", "name": "B", "color": "blue"})
    people.update(alice(people), {"Plan": "B"})
    reported = changed(webhook, people.id)["changedRecordsById"][alice(people)]["current"]
    assert by_name(people, reported["cellValuesByFieldId"])["Plan"] == {
        "id": "selBlue",
        "name": "B",
        "color": "blue",
    }


def test_a_base_without_webhooks_has_no_listeners(sandbox: Sandbox, base: Base) -> None:
    webhook = watch(sandbox, base, specification())
    assert len(base.listeners) == 1
    sandbox.webhooks.delete(webhook.id)
    assert base.listeners == []


@pytest.mark.parametrize(
    ("change_types", "expected"),
    [
        (["add"], {"createdRecordsById"}),
        (["update"], {"changedRecordsById"}),
        (["remove"], {"destroyedRecordIds"}),
        (["add", "remove"], {"createdRecordsById", "destroyedRecordIds"}),
    ],
)
def test_a_webhook_reports_only_its_change_types(
    change_types: list[str], expected: set[str], sandbox: Sandbox, people: Table, base: Base
) -> None:
    webhook = watch(sandbox, base, specification("tableData", changeTypes=change_types))
    with base.transaction():
        people.create({"Name": "Dora"})
        people.delete(list(people.records)[1])
        people.update(alice(people), {"Age": 1})
    assert changed(webhook, people.id).keys() == expected


def test_a_webhook_reports_only_its_sources(
    sandbox: Sandbox, people: Table, base: Base, http: HttpClient
) -> None:
    webhook = watch(sandbox, base, specification(fromSources=["publicApi"]))
    people.update(alice(people), {"Age": 1})
    assert contents(webhook) == []
    http("PATCH", f"{PATH}/{alice(people)}", json={"fields": {"Age": 2}})
    assert len(contents(webhook)) == 1


def test_a_webhook_reports_only_its_table(sandbox: Sandbox, people: Table, base: Base) -> None:
    other = base.add_table(Table("Other", [Field("Name")]))
    webhook = watch(sandbox, base, specification(recordChangeScope=other.id))
    people.update(alice(people), {"Age": 1})
    people.add_field(Field("Mood"))
    base.add_table(Table("Third", [Field("Name")]))
    base.remove_table("Third")
    assert contents(webhook) == []
    record = other.create({"Name": "x"})
    assert record.id in changed(webhook, other.id)["createdRecordsById"]


def test_a_webhook_reports_only_the_watched_cells(
    sandbox: Sandbox, people: Table, base: Base
) -> None:
    watched = [people.field("Phone").id]
    webhook = watch(sandbox, base, specification("tableData", watchDataInFieldIds=watched))
    people.update(alice(people), {"Age": 1})
    people.create({"Name": "Dora"})
    assert contents(webhook) == []
    people.update(alice(people), {"Age": 2, "Phone": "1"})
    reported = changed(webhook, people.id)["changedRecordsById"][alice(people)]
    assert reported == {"current": {"cellValuesByFieldId": {watched[0]: "1"}}}


@pytest.mark.parametrize("every", [True, False])
def test_unchanged_cells_can_be_included(
    every: bool, sandbox: Sandbox, people: Table, base: Base
) -> None:
    wanted = "all" if every else [people.field("Name").id, people.field("Age").id]
    includes = {"includeCellValuesInFieldIds": wanted}
    webhook = watch(sandbox, base, specification("tableData", includes=includes))
    people.update(alice(people), {"Age": 1})
    reported = changed(webhook, people.id)["changedRecordsById"][alice(people)]
    assert "previous" not in reported
    unchanged = by_name(people, reported["unchanged"]["cellValuesByFieldId"])
    assert unchanged.pop("Name") == "Alice"
    assert bool(unchanged) is every
    assert "Age" not in unchanged
