"""The parameters of list requests: fields, sort, view, ids instead of names, cell format."""

import pytest
from pyairtable import Api
from pyairtable import Table as TableClient

from sandbox.airtable.data.schema import View
from sandbox.airtable.data.tables import Table
from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import PEOPLE, HttpClient, names

PATH = f"/v0/{PEOPLE}/People"


def test_every_record_has_id_created_time_and_fields(http: HttpClient, people: Table) -> None:
    people.create({})
    for record in http.get(PATH).json()["records"]:
        assert record.keys() == {"id", "createdTime", "fields"}
        assert record["createdTime"].endswith("Z")
    assert record["fields"] == {}


def test_empty_cells_are_left_out_but_zero_is_not(client: TableClient, people: Table) -> None:
    created = people.create({"Name": "", "Active": False, "Friends": [], "Phone": None, "Age": 0})
    assert client.get(created.id)["fields"] == {"Age": 0}


def test_only_the_requested_fields_are_returned(client: TableClient) -> None:
    assert client.all(fields=["Name", "Age"], max_records=1)[0]["fields"] == {
        "Name": "Alice",
        "Age": 34,
    }


def test_fields_can_be_named_by_id(client: TableClient, people: Table) -> None:
    name = people.field("Name").id
    shown = client.all(fields=[name], max_records=1, use_field_ids=True)
    assert shown[0]["fields"] == {name: "Alice"}


@pytest.mark.parametrize("flag", ["1", "true"])
def test_fields_are_returned_by_id_on_request(flag: str, http: HttpClient, people: Table) -> None:
    record = http.get(PATH, params={"returnFieldsByFieldId": flag}).json()["records"][0]
    assert people.field("Phone").id in record["fields"]


@pytest.mark.parametrize("parameter", ["fields[]", "fields[0]", "sort[0][field]"])
def test_an_unknown_field_is_rejected(parameter: str, http: HttpClient) -> None:
    response = http.get(PATH, params={parameter: "Fone"})
    assert response.status_code == 422
    assert response.json()["error"] == {
        "type": "UNKNOWN_FIELD_NAME",
        "message": 'Unknown field name: "Fone"',
    }


def test_records_are_sorted_with_empty_cells_first(client: TableClient) -> None:
    assert names(client.all(sort=["Age"])) == ["Charlie", "Bob O'Brien", "Alice"]
    assert names(client.all(sort=["-Age"])) == ["Alice", "Bob O'Brien", "Charlie"]


def test_a_second_sort_field_breaks_ties(client: TableClient, people: Table) -> None:
    people.create({"Name": "Aaron", "Age": 9})
    assert names(client.all(sort=["-Age", "Name"]))[1:3] == ["Aaron", "Bob O'Brien"]


def test_the_default_view_shows_everything(client: TableClient, people: Table) -> None:
    assert len(client.all(view="Grid view")) == 3
    assert len(client.all(view=people.views[0].id)) == 3


def test_a_view_filters_and_sorts_but_hides_no_field(client: TableClient, people: Table) -> None:
    people.views.append(
        View("Grown up", formula="{Age} > 5", sort=(("Age", "asc"),), hidden_fields=("Age",))
    )
    shown = client.all(view="Grown up")
    assert names(shown) == ["Bob O'Brien", "Alice"]
    assert shown[0]["fields"]["Age"] == 9


def test_an_unknown_view_is_rejected(http: HttpClient) -> None:
    response = http.get(PATH, params={"view": "Nope"})
    assert response.status_code == 422
    assert response.json()["error"] == {
        "type": "VIEW_NAME_NOT_FOUND",
        "message": "View Nope not found",
    }


def test_cells_as_strings_need_a_time_zone_and_a_locale(
    client: TableClient, http: HttpClient
) -> None:
    assert http.get(PATH, params={"cellFormat": "string"}).status_code == 422
    shown = client.all(cell_format="string", time_zone="Europe/Brussels", user_locale="nl")
    assert shown[0]["fields"]["Age"] == "34"
    assert shown[2]["fields"]["Friends"] == "Alice, Bob O'Brien"


def test_comments_are_counted_on_request(client: TableClient) -> None:
    assert client.all(count_comments=True)[0]["commentCount"] == 0


def test_tables_are_found_by_id_and_by_any_name(api: Api, people: Table, sandbox: Sandbox) -> None:
    assert len(api.table(PEOPLE, people.id).all()) == 3
    sandbox.base(PEOPLE).rename_table("People", "Men/women, 100% é + ?")
    assert len(api.table(PEOPLE, "Men/women, 100% é + ?").all()) == 3


def test_a_literal_plus_in_a_query_is_a_space(http: HttpClient, people: Table) -> None:
    people.create({"Name": "+32"})
    formula = "filterByFormula={Name}='%s32'"
    assert http.get(f"{PATH}?{formula % '+'}").json()["records"] == []
    assert len(http.get(f"{PATH}?{formula % '%2B'}").json()["records"]) == 1


def test_responses_are_json_in_utf_8_and_gzipped_if_accepted(http: HttpClient) -> None:
    plain = http.get(PATH, headers={"Accept-Encoding": "identity"})
    packed = http.get(PATH)
    assert plain.headers["Content-Type"] == "application/json; charset=utf-8"
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert plain.json() == packed.json()
