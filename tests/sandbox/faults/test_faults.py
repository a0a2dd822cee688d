"""Each programmed fault, as a client sees it."""

import threading
from typing import Any

import pytest
import requests

from sandbox.airtable.data.tables import Table
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import PEOPLE, HttpClient, names
from tests.support.waiting import wait_until

PATH = f"/v0/{PEOPLE}/People"


def test_a_fault_applies_once_by_default(http: HttpClient, sandbox: Sandbox) -> None:
    number = sandbox.faults.add(Fault(status=503))
    assert [http.get(PATH).status_code for _ in range(3)] == [503, 200, 200]
    assert sandbox.faults.hits(number) == 1


def test_skip_and_times_select_requests(http: HttpClient, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(status=500, skip=1, times=2))
    assert [http.get(PATH).status_code for _ in range(4)] == [200, 500, 500, 200]


def test_a_fault_without_times_applies_until_it_is_removed(
    http: HttpClient, sandbox: Sandbox
) -> None:
    number = sandbox.faults.add(Fault(status=502, times=None))
    assert {http.get(PATH).status_code for _ in range(5)} == {502}
    assert sandbox.faults.remove(number)
    assert http.get(PATH).status_code == 200


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500, method="POST"),
        Fault(status=500, path="/meta/"),
        Fault(status=500, table="client"),
        Fault(status=500, page=2),
    ],
)
def test_a_fault_for_other_requests_does_not_apply(
    fault: Fault, http: HttpClient, sandbox: Sandbox
) -> None:
    sandbox.faults.add(fault)
    assert http.get(PATH).status_code == 200


@pytest.mark.parametrize("name", ["People", "tblPeople00000000"])
@pytest.mark.parametrize("requested", ["People", "tblPeople00000000"])
def test_a_table_matches_by_name_and_by_id(
    name: str, requested: str, http: HttpClient, sandbox: Sandbox
) -> None:
    sandbox.faults.add(Fault(status=500, table=name, method="get"))
    assert http.get(f"/v0/{PEOPLE}/{requested}").status_code == 500


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("object", {"error": {"type": "OOPS", "message": "sorry"}}),
        ("string", {"error": "OOPS"}),
        ("array", {"errors": [{"error": "OOPS", "message": "sorry"}]}),
    ],
)
def test_errors_come_in_three_shapes(
    shape: Any, body: dict[str, Any], http: HttpClient, sandbox: Sandbox
) -> None:
    sandbox.faults.add(Fault(status=422, error="OOPS", message="sorry", shape=shape))
    response = http.get(PATH)
    assert (response.status_code, response.json()) == (422, body)


def test_retry_after_is_sent_only_if_set(http: HttpClient, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(status=503))
    sandbox.faults.add(Fault(status=503, retry_after=7))
    assert "Retry-After" not in http.get(PATH).headers
    assert http.get(PATH).headers["Retry-After"] == "7"


@pytest.mark.parametrize("status", [None, 503])
def test_a_response_can_be_html(status: int | None, http: HttpClient, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(status=status, html="<h1>Bad gateway</h1>"))
    response = http.get(PATH)
    assert (response.status_code, response.text) == (status or 200, "<h1>Bad gateway</h1>")
    assert response.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("json", [[], {"records": "none"}, {"records": [{"id": 1}]}])
def test_a_response_can_be_json_of_a_wrong_shape(
    json: Any, http: HttpClient, sandbox: Sandbox
) -> None:
    sandbox.faults.add(Fault(json=json))
    response = http.get(PATH)
    assert (response.status_code, response.json()) == (200, json)


def test_a_delay_delays_the_response(http: HttpClient, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(delay=0.2))
    response = http.get(PATH)
    assert response.status_code == 200
    assert response.elapsed.total_seconds() >= 0.2


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_truncated_body_is_shorter_than_promised(
    encoding: str, http: HttpClient, sandbox: Sandbox
) -> None:
    sandbox.faults.add(Fault(truncated=True))
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        http.get(PATH, headers={"Accept-Encoding": encoding})
    assert http.get(PATH).ok


def test_a_reset_connection_is_reset(http: HttpClient, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(reset=True))
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        http.get(PATH)
    assert http.get(PATH).ok


def test_a_hanging_request_lasts_until_the_client_disconnects(
    http: HttpClient, sandbox: Sandbox
) -> None:
    sandbox.faults.add(Fault(hang=True))
    with pytest.raises(requests.ReadTimeout):
        requests.get(sandbox.url + PATH, timeout=0.1)
    assert http.get(PATH).ok
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


def test_the_iterator_is_lost_at_the_given_page(
    http: HttpClient, sandbox: Sandbox, people: Table
) -> None:
    sandbox.faults.add(Fault(page=3, lose_iterator=True))
    offset, statuses = "", []
    for _ in range(3):
        response = http.get(PATH, params={"pageSize": "1", "offset": offset})
        statuses.append(response.status_code)
        offset = response.json().get("offset", "")
    assert statuses == [200, 200, 422]
    assert response.json() == {"error": {"type": "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"}}


def test_a_callback_edits_the_base_before_the_response(
    http: HttpClient, sandbox: Sandbox, people: Table
) -> None:
    last = list(people.records)[-1]
    sandbox.faults.add(Fault(page=2, before=lambda: people.delete(last)))
    sandbox.faults.add(
        Fault(before=lambda: people.update(next(iter(people.records)), {"Name": "Al"}), skip=0)
    )
    first = http.get(PATH, params={"pageSize": "2"}).json()
    second = http.get(PATH, params={"pageSize": "2", "offset": first["offset"]}).json()
    assert names(first["records"]) == ["Al", "Bob O'Brien"]
    assert second == {"records": []}


def test_a_callback_can_send_a_request_to_the_sandbox(http: HttpClient, sandbox: Sandbox) -> None:
    statuses: list[int] = []

    def send_request() -> None:
        with requests.get(sandbox.url + PATH, timeout=5) as response:
            statuses.append(response.status_code)

    sandbox.faults.add(Fault(before=send_request))
    assert http.get(PATH).status_code == 200
    assert statuses == [401]


@pytest.mark.parametrize(
    "options",
    [
        {"hang": True, "reset": True},
        {"status": 500, "truncated": True},
        {"html": "", "json": []},
        {"shape": "round"},
    ],
)
def test_a_contradictory_fault_is_rejected(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"at most one of|not both|must be one of"):
        Fault(**options)
