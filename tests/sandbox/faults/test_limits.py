"""Five requests per second, the lockout, and the monthly quota."""

from collections.abc import Iterator

import pytest
import requests

from sandbox.airtable.sample.bases import FLAT_BASE_ID, LINKED_BASE_ID, flat_base, linked_base
from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import HttpClient

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
