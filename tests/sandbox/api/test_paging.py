"""Pages of list requests, with pyairtable as the client."""

import re

import pytest
from pyairtable import Api
from pyairtable import Table as TableClient

from sandbox.airtable.data.tables import Table
from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import PEOPLE, HttpClient, names

PATH = f"/v0/{PEOPLE}/People"


@pytest.fixture
def crowd(people: Table) -> Table:
    for record_id in list(people.records):
        people.delete(record_id)
    for number in range(250):
        people.create({"Name": f"Person {number}"})
    return people


def test_250_records_take_three_requests(
    client: TableClient, crowd: Table, sandbox: Sandbox
) -> None:
    assert names(client.all()) == [f"Person {number}" for number in range(250)]
    assert [request.path for request in sandbox.requests] == [PATH] * 3


def test_the_last_page_has_no_offset(crowd: Table, http: HttpClient) -> None:
    first = http.get(PATH).json()
    assert re.fullmatch(r"itr[A-Za-z0-9]{14}/rec[A-Za-z0-9]{14}", first["offset"])
    second = http.get(PATH, params={"offset": first["offset"]}).json()
    third = http.get(PATH, params={"offset": second["offset"]}).json()
    assert [len(page["records"]) for page in (first, second, third)] == [100, 100, 50]
    assert "offset" not in third


def test_a_table_of_exactly_one_page_has_no_offset(crowd: Table, http: HttpClient) -> None:
    assert "offset" not in http.get(PATH, params={"pageSize": 50, "maxRecords": 50}).json()


def test_page_size_and_max_records_are_applied(client: TableClient, crowd: Table) -> None:
    pages = list(client.iterate(page_size=40, max_records=90))
    assert [len(page) for page in pages] == [40, 40, 10]


def test_first_requests_one_record(client: TableClient, crowd: Table, sandbox: Sandbox) -> None:
    first = client.first()
    assert first is not None
    assert first["fields"] == {"Name": "Person 0"}
    assert sandbox.requests[-1].query == {"maxRecords": ["1"], "pageSize": ["1"]}


def test_a_page_can_be_requested_again(crowd: Table, http: HttpClient) -> None:
    offset = http.get(PATH).json()["offset"]
    pages = [http.get(PATH, params={"offset": offset}).json() for _ in range(2)]
    assert pages[0] == pages[1]


def test_the_order_is_fixed_and_the_values_are_current(client: TableClient, crowd: Table) -> None:
    pages = client.iterate(sort=["Name"])
    first_names = names(next(pages))
    late = next(
        each for each in crowd.records.values() if each.cells[crowd.fields[0].id] == "Person 99"
    )
    crowd.update(late.id, {"Name": "Aaron"})
    rest = [name for page in pages for name in names(page)]
    assert rest[-1] == "Aaron"
    assert len(first_names + rest) == 250


def test_a_record_deleted_between_pages_is_missing(client: TableClient, crowd: Table) -> None:
    pages = client.iterate()
    next(pages)
    boundary, inside = list(crowd.records)[100], list(crowd.records)[120]
    crowd.delete(boundary)
    crowd.delete(inside)
    assert [len(page) for page in pages] == [98, 50]


def test_a_record_created_between_pages_is_not_listed(client: TableClient, crowd: Table) -> None:
    pages = client.iterate()
    next(pages)
    crowd.create({"Name": "Late"})
    assert "Late" not in [name for page in pages for name in names(page)]


def test_an_idle_iterator_expires(crowd: Table, http: HttpClient, sandbox: Sandbox) -> None:
    offset = http.get(PATH).json()["offset"]
    sandbox.clock.advance(301)
    lost = http.get(PATH, params={"offset": offset})
    assert lost.status_code == 422
    assert lost.json() == {"error": {"type": "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"}}


def test_each_page_keeps_the_iterator_alive(
    crowd: Table, http: HttpClient, sandbox: Sandbox
) -> None:
    offset = http.get(PATH).json()["offset"]
    for _ in range(3):
        sandbox.clock.advance(200)
        assert http.get(PATH, params={"offset": offset}).ok


def test_an_iterator_belongs_to_its_table(api: Api, crowd: Table, http: HttpClient) -> None:
    offset = http.get(PATH).json()["offset"]
    other = http.get("/v0/appSiftlySandbox0/client", params={"offset": offset})
    assert other.json()["error"]["type"] == "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"


@pytest.mark.parametrize("offset", ["garbage", "itr1/rec1", "itr/rec/x", "é"])
def test_a_malformed_offset_is_rejected(offset: str, http: HttpClient) -> None:
    response = http.get(PATH, params={"offset": offset})
    assert response.status_code == 422
    assert response.json()["error"] == {
        "type": "INVALID_OFFSET_VALUE",
        "message": f"The value of offset {offset} is invalid",
    }


@pytest.mark.parametrize("size", ["0", "101", "-1", "ten", "1.5", "9" * 5000])
def test_a_page_size_out_of_range_is_rejected(size: str, http: HttpClient) -> None:
    response = http.get(PATH, params={"pageSize": size})
    assert (response.status_code, response.json()["error"]["type"]) == (
        422,
        "INVALID_REQUEST_UNKNOWN",
    )


def test_long_requests_use_post_and_have_pages_too(
    client: TableClient, crowd: Table, sandbox: Sandbox
) -> None:
    formula = "OR(" + ", ".join(f"RECORD_ID()='{each}'" for each in crowd.records) + ")"
    long = f"AND({formula}, {formula}, {formula})"
    assert len(client.all(formula=long, sort=["-Name"])) == 250
    assert {(each.method, each.path) for each in sandbox.requests} == {
        ("POST", f"{PATH}/listRecords")
    }
