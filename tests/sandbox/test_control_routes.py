"""The control routes, which show and change a running sandbox."""

from typing import Any

import pytest

from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import PEOPLE, HttpClient, control

PATH = f"/v0/{PEOPLE}/People"


def test_the_state_is_shown(sandbox: Sandbox, http: HttpClient) -> None:
    http.get(PATH)
    http.get("/nowhere")
    state = control(sandbox, "GET", "").json()
    assert state["requests"] == {"total": 2, "waiting": 0, "by_status": {"200": 1, "404": 1}}
    assert state["bases"] == ["appSiftlySandbox0", PEOPLE]
    assert state["calls_this_month"] == 2


def test_the_request_log_is_shown_and_cleared(sandbox: Sandbox, http: HttpClient) -> None:
    http.get(PATH, params={"pageSize": "1"})
    [entry] = control(sandbox, "GET", "requests").json()["requests"]
    assert entry["path"] == PATH
    assert entry["query"] == {"pageSize": ["1"]}
    assert control(sandbox, "DELETE", "requests").status_code == 204
    assert sandbox.requests == []


def test_control_requests_are_neither_logged_nor_limited(sandbox: Sandbox) -> None:
    sandbox.limits.monthly_quota = 0
    assert control(sandbox, "GET", "").ok
    assert sandbox.requests == []


def test_latency_is_set(sandbox: Sandbox) -> None:
    response = control(sandbox, "POST", "latency", json={"seconds": 0.25, "jitter": True})
    assert response.json() == {"latency": 0.25, "jitter": True}
    assert sandbox.latency == 0.25


def test_a_fault_is_added_shown_and_removed(sandbox: Sandbox, http: HttpClient) -> None:
    fault = {"status": 503, "retry_after": 2, "table": "People", "times": None}
    number = control(sandbox, "POST", "faults", json=fault).json()["id"]
    assert http.get(PATH).status_code == 503
    [shown] = control(sandbox, "GET", "faults").json()["faults"]
    assert shown == {"id": number, "seen": 1, "hits": 1, "fault": fault}
    assert control(sandbox, "DELETE", f"faults/{number}").status_code == 204
    assert control(sandbox, "DELETE", f"faults/{number}").status_code == 404
    assert http.get(PATH).ok


def test_all_faults_are_removed(sandbox: Sandbox, http: HttpClient) -> None:
    for _ in range(2):
        control(sandbox, "POST", "faults", json={"hang": True})
    assert control(sandbox, "DELETE", "faults").status_code == 204
    assert http.get(PATH).ok


def test_limits_are_reset_and_the_clock_is_advanced(sandbox: Sandbox, http: HttpClient) -> None:
    sandbox.limits.requests_per_second = 1
    assert [http.get(PATH).status_code for _ in range(2)] == [200, 429]
    assert control(sandbox, "GET", "").json()["locked_out"] == [PEOPLE]
    assert control(sandbox, "POST", "reset").status_code == 204
    assert [http.get(PATH).status_code for _ in range(2)] == [200, 429]
    assert control(sandbox, "POST", "clock", json={"seconds": 30}).status_code == 204
    assert http.get(PATH).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"stauts": 500}),
        ("faults", {"status": "500"}),
        ("faults", {"hang": True, "reset": True}),
        ("faults", {"before": "x"}),
        ("faults", []),
        ("latency", {"seconds": -1}),
        ("latency", {"seconds": "1"}),
        ("clock", {}),
    ],
)
def test_a_wrong_request_gets_an_error_message(path: str, body: Any, sandbox: Sandbox) -> None:
    response = control(sandbox, "POST", path, json=body)
    assert response.status_code == 400
    assert response.json()["error"]


def test_a_request_with_another_host_name_is_rejected(sandbox: Sandbox) -> None:
    response = control(sandbox, "GET", "", headers={"Host": "evil.example"})
    assert response.status_code == 403
