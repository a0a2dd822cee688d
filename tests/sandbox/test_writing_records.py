"""Creating, changing and deleting through pyairtable, and what is refused."""

from typing import Any

import pytest
from pyairtable import Table as TableClient

from sandbox.airtable.bases import Table
from tests.sandbox.conftest import PEOPLE, Asker

PATH = f"/v0/{PEOPLE}/People"


def test_a_record_is_created_read_changed_and_deleted(client: TableClient, people: Table) -> None:
    created = client.create({"Name": "Dora", "Age": 41})
    assert client.get(created["id"])["fields"] == {"Name": "Dora", "Age": 41}
    client.update(created["id"], {"Age": None, "Active": True})
    assert people.values(created["id"]) == {"Name": "Dora", "Active": True}
    assert client.delete(created["id"]) == {"id": created["id"], "deleted": True}
    assert created["id"] not in people.records


def test_replacing_empties_what_is_not_given(client: TableClient, people: Table) -> None:
    alice = next(iter(people.records))
    client.update(alice, {"Name": "Alice"}, replace=True)
    assert people.values(alice) == {"Name": "Alice"}


def test_batches_go_ten_at_a_time(client: TableClient, people: Table) -> None:
    created = client.batch_create([{"Name": f"N{number}"} for number in range(23)])
    assert len(people.records) == 26
    client.batch_update([{"id": each["id"], "fields": {"Age": 1}} for each in created])
    assert all(people.values(each["id"])["Age"] == 1 for each in created)
    client.batch_delete([each["id"] for each in created])
    assert len(people.records) == 3


def test_an_upsert_changes_who_matches_and_creates_the_rest(
    client: TableClient, people: Table
) -> None:
    result = client.batch_upsert(
        [{"fields": {"Name": "Alice", "Age": 35}}, {"fields": {"Name": "Dora"}}], ["Name"]
    )
    alice = next(iter(people.records))
    assert result["updatedRecords"] == [alice]
    assert len(result["createdRecords"]) == 1
    assert people.values(alice)["Age"] == 35


def test_a_created_record_comes_by_field_id_when_asked(client: TableClient, people: Table) -> None:
    created = client.create({"Name": "Dora"}, use_field_ids=True)
    assert created["fields"] == {people.field("Name").id: "Dora"}


def test_typecast_converts_and_adds_choices(client: TableClient, people: Table) -> None:
    created = client.create({"Age": "12", "Plan": "Silver", "Phone": 32}, typecast=True)
    assert created["fields"] == {"Age": 12, "Plan": "Silver", "Phone": "32"}
    assert {"name": "Silver"} in people.field("Plan").options["choices"]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"Nope": 1}, "UNKNOWN_FIELD_NAME"),
        ({"Age": "12"}, "INVALID_VALUE_FOR_COLUMN"),
        ({"Name": 12}, "INVALID_VALUE_FOR_COLUMN"),
        ({"Active": "yes"}, "INVALID_VALUE_FOR_COLUMN"),
        ({"Born": "yesterday"}, "INVALID_VALUE_FOR_COLUMN"),
        ({"Friends": "recAlice"}, "INVALID_VALUE_FOR_COLUMN"),
        ({"Friends": ["rec00000000000000"]}, "ROW_DOES_NOT_EXIST"),
        ({"Plan": "Silver"}, "INVALID_MULTIPLE_CHOICE_OPTIONS"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(
    fields: dict[str, Any], kind: str, ask: Asker
) -> None:
    answer = ask.post(PATH, json={"fields": fields})
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, kind)


def test_a_computed_field_takes_no_value(ask: Asker) -> None:
    path = "/v0/appSiftlySandbox0/dynamic_variables"
    answer = ask.post(path, json={"fields": {"client_dynamic_variables_id": 7}})
    assert answer.json()["error"]["message"] == (
        'Field "client_dynamic_variables_id" cannot accept a value because the field is computed'
    )


def test_a_batch_with_one_wrong_record_changes_nothing(ask: Asker, people: Table) -> None:
    batch = [{"fields": {"Name": "Dora"}}, {"fields": {"Age": "old"}}]
    assert ask.post(PATH, json={"records": batch}).status_code == 422
    assert len(people.records) == 3


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, "INVALID_REQUEST_MISSING_FIELDS"),
        ({"fields": []}, "INVALID_REQUEST_UNKNOWN"),
        ({"records": []}, "INVALID_REQUEST_UNKNOWN"),
        ({"records": [1]}, "INVALID_REQUEST_UNKNOWN"),
        ({"records": [{"fields": {}}] * 11}, "INVALID_REQUEST_UNKNOWN"),
    ],
)
def test_a_body_of_a_wrong_shape_is_refused(body: Any, kind: str, ask: Asker) -> None:
    answer = ask.post(PATH, json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, kind)


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes, ask: Asker) -> None:
    answer = ask.post(PATH, data=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "INVALID_REQUEST_BODY")


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_a_record_that_is_not_there_is_not_found(method: str, ask: Asker) -> None:
    answer = ask(method, f"{PATH}/rec00000000000000", json={"fields": {}})
    assert (answer.status_code, answer.json()) == (404, {"error": "NOT_FOUND"})


def test_deleting_a_batch_with_an_unknown_record_deletes_none(ask: Asker, people: Table) -> None:
    ids = [*people.records, "rec00000000000000"]
    assert ask("DELETE", PATH, params={"records[]": ids}).status_code == 422
    assert len(people.records) == 3
