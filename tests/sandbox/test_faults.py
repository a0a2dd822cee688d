"""Each programmed fault, as a client sees it."""

import threading
import time
from typing import Any

import pytest
import requests

from sandbox.airtable.bases import Table
from sandbox.airtable.faults import Fault
from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import PEOPLE, Asker, names

PATH = f"/v0/{PEOPLE}/People"


def test_a_fault_hits_once_by_default(ask: Asker, sandbox: Sandbox) -> None:
    number = sandbox.faults.add(Fault(status=503))
    assert [ask.get(PATH).status_code for _ in range(3)] == [503, 200, 200]
    assert sandbox.faults.hits(number) == 1


def test_skip_and_times_choose_which_requests(ask: Asker, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(status=500, skip=1, times=2))
    assert [ask.get(PATH).status_code for _ in range(4)] == [200, 500, 500, 200]


def test_without_an_end_all_are_hit_until_it_is_removed(ask: Asker, sandbox: Sandbox) -> None:
    number = sandbox.faults.add(Fault(status=502, times=None))
    assert {ask.get(PATH).status_code for _ in range(5)} == {502}
    assert sandbox.faults.remove(number)
    assert ask.get(PATH).status_code == 200


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500, method="POST"),
        Fault(status=500, path="/meta/"),
        Fault(status=500, table="client"),
        Fault(status=500, page=2),
    ],
)
def test_a_fault_for_other_requests_passes_by(fault: Fault, ask: Asker, sandbox: Sandbox) -> None:
    sandbox.faults.add(fault)
    assert ask.get(PATH).status_code == 200


@pytest.mark.parametrize("name", ["People", "tblPeople00000000"])
@pytest.mark.parametrize("asked", ["People", "tblPeople00000000"])
def test_a_table_matches_by_name_and_by_id(
    name: str, asked: str, ask: Asker, sandbox: Sandbox
) -> None:
    sandbox.faults.add(Fault(status=500, table=name, method="get"))
    assert ask.get(f"/v0/{PEOPLE}/{asked}").status_code == 500


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("object", {"error": {"type": "OOPS", "message": "sorry"}}),
        ("string", {"error": "OOPS"}),
        ("array", {"errors": [{"error": "OOPS", "message": "sorry"}]}),
    ],
)
def test_errors_come_in_three_shapes(
    shape: Any, body: dict[str, Any], ask: Asker, sandbox: Sandbox
) -> None:
    sandbox.faults.add(Fault(status=422, error="OOPS", message="sorry", shape=shape))
    answer = ask.get(PATH)
    assert (answer.status_code, answer.json()) == (422, body)


def test_retry_after_comes_only_when_set(ask: Asker, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(status=503))
    sandbox.faults.add(Fault(status=503, retry_after=7))
    assert "Retry-After" not in ask.get(PATH).headers
    assert ask.get(PATH).headers["Retry-After"] == "7"


@pytest.mark.parametrize("status", [None, 503])
def test_an_answer_may_be_html(status: int | None, ask: Asker, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(status=status, html="<h1>Bad gateway</h1>"))
    answer = ask.get(PATH)
    assert (answer.status_code, answer.text) == (status or 200, "<h1>Bad gateway</h1>")
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("json", [[], {"records": "none"}, {"records": [{"id": 1}]}])
def test_an_answer_may_be_json_of_a_wrong_shape(json: Any, ask: Asker, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(json=json))
    answer = ask.get(PATH)
    assert (answer.status_code, answer.json()) == (200, json)


def test_a_delay_holds_the_answer_back(ask: Asker, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(delay=0.2))
    answer = ask.get(PATH)
    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() >= 0.2


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_truncated_body_is_shorter_than_promised(
    encoding: str, ask: Asker, sandbox: Sandbox
) -> None:
    sandbox.faults.add(Fault(truncated=True))
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        ask.get(PATH, headers={"Accept-Encoding": encoding})
    assert ask.get(PATH).ok


def test_a_reset_connection_is_reset(ask: Asker, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(reset=True))
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        ask.get(PATH)
    assert ask.get(PATH).ok


def test_a_hanging_request_lasts_until_the_client_gives_up(ask: Asker, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(hang=True))
    with pytest.raises(requests.ReadTimeout):
        requests.get(sandbox.url + PATH, timeout=0.1)
    assert ask.get(PATH).ok
    entry = sandbox.requests[0]
    wait_until(lambda: entry.finished_at is not None)
    assert entry.status is None


def test_a_hanging_request_ends_when_the_sandbox_stops(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(hang=True))
    ended: list[Exception] = []

    def hang() -> None:
        try:
            requests.get(sandbox.url + PATH, timeout=10)
        except requests.ConnectionError as error:
            ended.append(error)

    thread = threading.Thread(target=hang)
    thread.start()
    wait_until(lambda: bool(sandbox.requests))
    sandbox.stop()
    thread.join(2)
    assert len(ended) == 1


def test_the_iterator_is_lost_at_the_page_named(
    ask: Asker, sandbox: Sandbox, people: Table
) -> None:
    sandbox.faults.add(Fault(page=3, lose_iterator=True))
    offset, statuses = "", []
    for _ in range(3):
        answer = ask.get(PATH, params={"pageSize": "1", "offset": offset})
        statuses.append(answer.status_code)
        offset = answer.json().get("offset", "")
    assert statuses == [200, 200, 422]
    assert answer.json() == {"error": {"type": "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"}}


def test_a_callback_edits_the_base_before_the_answer(
    ask: Asker, sandbox: Sandbox, people: Table
) -> None:
    last = list(people.records)[-1]
    sandbox.faults.add(Fault(page=2, before=lambda: people.delete(last)))
    sandbox.faults.add(
        Fault(before=lambda: people.update(next(iter(people.records)), {"Name": "Al"}), skip=0)
    )
    first = ask.get(PATH, params={"pageSize": "2"}).json()
    second = ask.get(PATH, params={"pageSize": "2", "offset": first["offset"]}).json()
    assert names(first["records"]) == ["Al", "Bob O'Brien"]
    assert second == {"records": []}


def test_a_callback_may_ask_the_sandbox_itself(ask: Asker, sandbox: Sandbox) -> None:
    asked: list[int] = []

    def ask_too() -> None:
        with requests.get(sandbox.url + PATH, timeout=5) as answer:
            asked.append(answer.status_code)

    sandbox.faults.add(Fault(before=ask_too))
    assert ask.get(PATH).status_code == 200
    assert asked == [401]


@pytest.mark.parametrize(
    "options",
    [
        {"hang": True, "reset": True},
        {"status": 500, "truncated": True},
        {"html": "", "json": []},
        {"shape": "round"},
    ],
)
def test_a_fault_that_contradicts_itself_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"fault has|shape is"):
        Fault(**options)


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 3
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
