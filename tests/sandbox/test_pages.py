"""List records page by page, as pyairtable asks for it."""

import re

import pytest
from pyairtable import Api
from pyairtable import Table as TableClient

from sandbox.airtable.bases import Table
from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import PEOPLE, Asker, names

PATH = f"/v0/{PEOPLE}/People"


@pytest.fixture
def crowd(people: Table) -> Table:
    for record_id in list(people.records):
        people.delete(record_id)
    for number in range(250):
        people.create({"Name": f"Person {number}"})
    return people


def test_250_records_are_three_requests(
    client: TableClient, crowd: Table, sandbox: Sandbox
) -> None:
    assert names(client.all()) == [f"Person {number}" for number in range(250)]
    assert [request.path for request in sandbox.requests] == [PATH] * 3


def test_the_last_page_has_no_offset(crowd: Table, ask: Asker) -> None:
    first = ask.get(PATH).json()
    assert re.fullmatch(r"itr[A-Za-z0-9]{14}/rec[A-Za-z0-9]{14}", first["offset"])
    second = ask.get(PATH, params={"offset": first["offset"]}).json()
    third = ask.get(PATH, params={"offset": second["offset"]}).json()
    assert [len(page["records"]) for page in (first, second, third)] == [100, 100, 50]
    assert "offset" not in third


def test_a_table_of_exactly_one_page_has_no_offset(crowd: Table, ask: Asker) -> None:
    assert "offset" not in ask.get(PATH, params={"pageSize": 50, "maxRecords": 50}).json()


def test_page_size_and_max_records_are_obeyed(client: TableClient, crowd: Table) -> None:
    pages = list(client.iterate(page_size=40, max_records=90))
    assert [len(page) for page in pages] == [40, 40, 10]


def test_first_asks_for_one_record(client: TableClient, crowd: Table, sandbox: Sandbox) -> None:
    first = client.first()
    assert first is not None
    assert first["fields"] == {"Name": "Person 0"}
    assert sandbox.requests[-1].query == {"maxRecords": ["1"], "pageSize": ["1"]}


def test_a_page_may_be_asked_for_again(crowd: Table, ask: Asker) -> None:
    offset = ask.get(PATH).json()["offset"]
    pages = [ask.get(PATH, params={"offset": offset}).json() for _ in range(2)]
    assert pages[0] == pages[1]


def test_order_is_frozen_while_values_are_live(client: TableClient, crowd: Table) -> None:
    sweep = client.iterate(sort=["Name"])
    first_names = names(next(sweep))
    late = next(
        each for each in crowd.records.values() if each.cells[crowd.fields[0].id] == "Person 99"
    )
    crowd.update(late.id, {"Name": "Aaron"})
    rest = [name for page in sweep for name in names(page)]
    assert rest[-1] == "Aaron"
    assert len(first_names + rest) == 250


def test_a_record_deleted_during_the_sweep_vanishes(client: TableClient, crowd: Table) -> None:
    sweep = client.iterate()
    next(sweep)
    boundary, inside = list(crowd.records)[100], list(crowd.records)[120]
    crowd.delete(boundary)
    crowd.delete(inside)
    assert [len(page) for page in sweep] == [98, 50]


def test_a_record_created_during_the_sweep_is_not_in_it(client: TableClient, crowd: Table) -> None:
    sweep = client.iterate()
    next(sweep)
    crowd.create({"Name": "Late"})
    assert "Late" not in [name for page in sweep for name in names(page)]


def test_an_idle_iterator_expires(crowd: Table, ask: Asker, sandbox: Sandbox) -> None:
    offset = ask.get(PATH).json()["offset"]
    sandbox.clock.advance(301)
    lost = ask.get(PATH, params={"offset": offset})
    assert lost.status_code == 422
    assert lost.json() == {"error": {"type": "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"}}


def test_each_page_keeps_the_iterator_alive(crowd: Table, ask: Asker, sandbox: Sandbox) -> None:
    offset = ask.get(PATH).json()["offset"]
    for _ in range(3):
        sandbox.clock.advance(200)
        assert ask.get(PATH, params={"offset": offset}).ok


def test_an_iterator_belongs_to_its_table(api: Api, crowd: Table, ask: Asker) -> None:
    offset = ask.get(PATH).json()["offset"]
    other = ask.get("/v0/appSiftlySandbox0/client", params={"offset": offset})
    assert other.json()["error"]["type"] == "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"


@pytest.mark.parametrize("offset", ["garbage", "itr1/rec1", "itr/rec/x", "é"])
def test_a_garbage_offset_is_called_invalid(offset: str, ask: Asker) -> None:
    answer = ask.get(PATH, params={"offset": offset})
    assert answer.status_code == 422
    assert answer.json()["error"] == {
        "type": "INVALID_OFFSET_VALUE",
        "message": f"The value of offset {offset} is invalid",
    }


@pytest.mark.parametrize("size", ["0", "101", "-1", "ten", "1.5", "9" * 5000])
def test_a_page_size_out_of_range_is_refused(size: str, ask: Asker) -> None:
    answer = ask.get(PATH, params={"pageSize": size})
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "INVALID_REQUEST_UNKNOWN")


def test_long_requests_go_by_post_and_page_alike(
    client: TableClient, crowd: Table, sandbox: Sandbox
) -> None:
    formula = "OR(" + ", ".join(f"RECORD_ID()='{each}'" for each in crowd.records) + ")"
    long = f"AND({formula}, {formula}, {formula})"
    assert len(client.all(formula=long, sort=["-Name"])) == 250
    assert {(each.method, each.path) for each in sandbox.requests} == {
        ("POST", f"{PATH}/listRecords")
    }
