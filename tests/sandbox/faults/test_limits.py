"""Five requests per second, the lockout, and the monthly quota."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from sandbox.airtable.common.clock import Clock
from sandbox.airtable.faults.limits import Limits
from sandbox.airtable.sample.bases import FLAT_BASE_ID, LINKED_BASE_ID, flat_base, linked_base
from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import HttpClient
from tests.support.waiting import wait_until

REQUEST = b"GET /v0/meta/whoami HTTP/1.1\r\nHost: x\r\n\r\n"
PATH = f"/v0/{LINKED_BASE_ID}/client"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox([linked_base(), flat_base()]) as running:
        yield running


@pytest.fixture
def locked(http: HttpClient) -> requests.Response:
    """The sixth response."""
    return [http.get(PATH) for _ in range(6)][-1]


def test_five_requests_a_second_are_answered(http: HttpClient) -> None:
    assert [http.get(PATH).status_code for _ in range(5)] == [200] * 5


def test_the_sixth_request_is_rejected_with_an_array_of_errors(locked: requests.Response) -> None:
    assert locked.status_code == 429
    assert "Retry-After" not in locked.headers
    assert locked.json() == {
        "errors": [
            {
                "error": "RATE_LIMIT_REACHED",
                "message": "Rate limit exceeded. Please try again later",
            }
        ]
    }


def test_the_window_slides(http: HttpClient, sandbox: Sandbox) -> None:
    for _ in range(12):
        assert http.get(PATH).status_code == 200
        sandbox.clock.advance(0.21)


def test_the_window_counts_arrivals_whatever_the_order_in_which_they_are_read() -> None:
    limits, now = Limits(Clock()), time.monotonic()
    for arrived_at in (now + 0.5, now, now + 0.6, now + 0.7, now + 0.8, now + 1.1):
        assert limits.check("app", arrived_at, data=True) is None
    assert limits.check("app", now + 0.9, data=True) is not None


def test_a_request_arrives_when_its_bytes_do_also_if_the_sandbox_is_busy(sandbox: Sandbox) -> None:
    is_busy, may_read = threading.Event(), threading.Event()

    def be_busy() -> None:
        is_busy.set()
        assert may_read.wait(20)

    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=20) as connection:
        connection.sendall(REQUEST)
        assert connection.recv(100)
        assert sandbox._server
        sandbox._server._uvicorn._loop.call_soon_threadsafe(be_busy)
        assert is_busy.wait(20)
        sent_at = time.monotonic()
        connection.sendall(REQUEST)
        time.sleep(0.1)
        read_at = time.monotonic()
        may_read.set()
        wait_until(lambda: len(sandbox.requests) == 2)
    assert sent_at <= sandbox.requests[1].started_at < read_at


def test_after_the_sixth_request_the_base_is_locked_for_thirty_seconds(
    locked: requests.Response, http: HttpClient, sandbox: Sandbox
) -> None:
    sandbox.clock.advance(29)
    assert http.get(PATH).status_code == 429
    sandbox.clock.advance(1)
    assert http.get(PATH).status_code == 200


def test_a_locked_base_also_rejects_schema_requests(
    locked: requests.Response, http: HttpClient
) -> None:
    assert http.get(f"/v0/meta/bases/{LINKED_BASE_ID}/tables").status_code == 429
    assert http.get("/v0/meta/whoami").status_code == 200


def test_another_base_has_its_own_limit(locked: requests.Response, http: HttpClient) -> None:
    assert http.get(f"/v0/{FLAT_BASE_ID}/customers").status_code == 200


def test_requests_with_a_wrong_token_do_not_count(http: HttpClient) -> None:
    for _ in range(9):
        assert http.get(PATH, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert http.get(PATH).status_code == 200


def test_limits_can_be_reset(locked: requests.Response, http: HttpClient, sandbox: Sandbox) -> None:
    sandbox.limits.reset()
    assert http.get(PATH).status_code == 200


def test_over_the_quota_only_meta_requests_are_answered(http: HttpClient, sandbox: Sandbox) -> None:
    sandbox.limits.requests_per_second = None
    sandbox.limits.monthly_quota = 3
    assert [http.get(PATH).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert http.get("/v0/meta/whoami").status_code == 200
    assert http.get(f"/v0/meta/bases/{LINKED_BASE_ID}/tables").status_code == 200
    [error] = http.get(PATH).json()["errors"]
    assert error["error"] == "PUBLIC_API_BILLING_LIMIT_EXCEEDED"
    assert error["message"].startswith("API billing plan limit exceeded.")


def test_the_quota_resets_with_a_new_month_and_not_with_time(
    http: HttpClient, sandbox: Sandbox
) -> None:
    sandbox.limits.monthly_quota = 0
    sandbox.clock.advance(60)
    assert http.get(PATH).status_code == 429
    sandbox.limits.monthly_quota = 1
    sandbox.limits.reset()
    assert http.get(PATH).status_code == 200
