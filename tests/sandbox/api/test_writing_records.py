"""Creating, updating and deleting records, and the errors for wrong values."""

from typing import Any

import pytest
from pyairtable import Table as TableClient

from sandbox.airtable.data.tables import Table
from tests.sandbox.conftest import PEOPLE, HttpClient

PATH = f"/v0/{PEOPLE}/People"


def test_a_record_is_created_read_updated_and_deleted(client: TableClient, people: Table) -> None:
    created = client.create({"Name": "Dora", "Age": 41})
    assert client.get(created["id"])["fields"] == {"Name": "Dora", "Age": 41}
    client.update(created["id"], {"Age": None, "Active": True})
    assert people.values(created["id"]) == {"Name": "Dora", "Active": True}
    assert client.delete(created["id"]) == {"id": created["id"], "deleted": True}
    assert created["id"] not in people.records


def test_replacing_empties_the_fields_that_are_not_given(
    client: TableClient, people: Table
) -> None:
    alice = next(iter(people.records))
    client.update(alice, {"Name": "Alice"}, replace=True)
    assert people.values(alice) == {"Name": "Alice"}


def test_batches_have_ten_records(client: TableClient, people: Table) -> None:
    created = client.batch_create([{"Name": f"N{number}"} for number in range(23)])
    assert len(people.records) == 26
    client.batch_update([{"id": each["id"], "fields": {"Age": 1}} for each in created])
    assert all(people.values(each["id"])["Age"] == 1 for each in created)
    client.batch_delete([each["id"] for each in created])
    assert len(people.records) == 3


def test_an_upsert_updates_matching_records_and_creates_the_rest(
    client: TableClient, people: Table
) -> None:
    result = client.batch_upsert(
        [{"fields": {"Name": "Alice", "Age": 35}}, {"fields": {"Name": "Dora"}}], ["Name"]
    )
    alice = next(iter(people.records))
    assert result["updatedRecords"] == [alice]
    assert len(result["createdRecords"]) == 1
    assert people.values(alice)["Age"] == 35


def test_a_created_record_is_returned_by_field_id_on_request(
    client: TableClient, people: Table
) -> None:
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
def test_a_value_of_a_wrong_type_is_rejected(
    fields: dict[str, Any], kind: str, http: HttpClient
) -> None:
    response = http.post(PATH, json={"fields": fields})
    assert (response.status_code, response.json()["error"]["type"]) == (422, kind)


def test_a_computed_field_accepts_no_value(http: HttpClient) -> None:
    path = "/v0/appSiftlySandbox0/dynamic_variables"
    response = http.post(path, json={"fields": {"client_dynamic_variables_id": 7}})
    assert response.json()["error"]["message"] == (
        'Field "client_dynamic_variables_id" cannot accept a value because the field is computed'
    )


def test_a_batch_with_one_wrong_record_changes_nothing(http: HttpClient, people: Table) -> None:
    batch = [{"fields": {"Name": "Dora"}}, {"fields": {"Age": "old"}}]
    assert http.post(PATH, json={"records": batch}).status_code == 422
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
def test_a_body_of_a_wrong_shape_is_rejected(body: Any, kind: str, http: HttpClient) -> None:
    response = http.post(PATH, json=body)
    assert (response.status_code, response.json()["error"]["type"]) == (422, kind)


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_a_body_that_is_not_a_json_object_is_rejected(body: bytes, http: HttpClient) -> None:
    response = http.post(PATH, data=body)
    assert (response.status_code, response.json()["error"]["type"]) == (400, "INVALID_REQUEST_BODY")


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_an_unknown_record_is_not_found(method: str, http: HttpClient) -> None:
    response = http(method, f"{PATH}/rec00000000000000", json={"fields": {}})
    assert (response.status_code, response.json()) == (404, {"error": "NOT_FOUND"})


def test_deleting_a_batch_with_an_unknown_record_deletes_none(
    http: HttpClient, people: Table
) -> None:
    ids = [*people.records, "rec00000000000000"]
    assert http("DELETE", PATH, params={"records[]": ids}).status_code == 422
    assert len(people.records) == 3
