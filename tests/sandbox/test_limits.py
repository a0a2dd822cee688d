"""Five requests a second, the lock-out after one too many, and the monthly quota."""

from collections.abc import Iterator

import pytest
import requests

from sandbox.airtable.sample import FLAT_BASE_ID, LINKED_BASE_ID, flat_base, linked_base
from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import Asker

PATH = f"/v0/{LINKED_BASE_ID}/client"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox([linked_base(), flat_base()]) as running:
        yield running


@pytest.fixture
def locked(ask: Asker) -> requests.Response:
    """The sixth answer."""
    return [ask.get(PATH) for _ in range(6)][-1]


def test_five_requests_a_second_are_answered(ask: Asker) -> None:
    assert [ask.get(PATH).status_code for _ in range(5)] == [200] * 5


def test_the_sixth_is_refused_with_an_array_of_errors(locked: requests.Response) -> None:
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


def test_the_window_slides(ask: Asker, sandbox: Sandbox) -> None:
    for _ in range(12):
        assert ask.get(PATH).status_code == 200
        sandbox.clock.advance(0.21)


def test_after_the_sixth_the_base_is_locked_for_thirty_seconds(
    locked: requests.Response, ask: Asker, sandbox: Sandbox
) -> None:
    sandbox.clock.advance(29)
    assert ask.get(PATH).status_code == 429
    sandbox.clock.advance(1)
    assert ask.get(PATH).status_code == 200


def test_the_schema_of_a_locked_base_is_refused_too(locked: requests.Response, ask: Asker) -> None:
    assert ask.get(f"/v0/meta/bases/{LINKED_BASE_ID}/tables").status_code == 429
    assert ask.get("/v0/meta/whoami").status_code == 200


def test_another_base_has_its_own_limit(locked: requests.Response, ask: Asker) -> None:
    assert ask.get(f"/v0/{FLAT_BASE_ID}/customers").status_code == 200


def test_refused_tokens_do_not_count(ask: Asker) -> None:
    for _ in range(9):
        assert ask.get(PATH, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert ask.get(PATH).status_code == 200


def test_limits_can_be_reset(locked: requests.Response, ask: Asker, sandbox: Sandbox) -> None:
    sandbox.limits.reset()
    assert ask.get(PATH).status_code == 200


def test_over_the_quota_data_is_refused_while_meta_answers(ask: Asker, sandbox: Sandbox) -> None:
    sandbox.limits.requests_per_second = None
    sandbox.limits.monthly_quota = 3
    assert [ask.get(PATH).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert ask.get("/v0/meta/whoami").status_code == 200
    assert ask.get(f"/v0/meta/bases/{LINKED_BASE_ID}/tables").status_code == 200
    [error] = ask.get(PATH).json()["errors"]
    assert error["error"] == "PUBLIC_API_BILLING_LIMIT_EXCEEDED"
    assert error["message"].startswith("API billing plan limit exceeded.")


def test_waiting_does_not_help_over_the_quota_but_a_new_month_does(
    ask: Asker, sandbox: Sandbox
) -> None:
    sandbox.limits.monthly_quota = 0
    sandbox.clock.advance(60)
    assert ask.get(PATH).status_code == 429
    sandbox.limits.monthly_quota = 1
    sandbox.limits.reset()
    assert ask.get(PATH).status_code == 200
