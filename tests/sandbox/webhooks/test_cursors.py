"""Pages of a webhook's payloads, and the gaps that purging leaves."""

from typing import Any

import pytest

from sandbox.airtable.data.tables import Table
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.webhook import Webhook
from tests.sandbox.conftest import PEOPLE, HttpClient
from tests.sandbox.webhook_support import specification, watch

DAY = 86_400


@pytest.fixture
def webhook(sandbox: Sandbox) -> Webhook:
    return watch(sandbox, sandbox.base(PEOPLE), specification())


def path(webhook: Webhook) -> str:
    return f"/v0/bases/{PEOPLE}/webhooks/{webhook.id}/payloads"


def page(http: HttpClient, webhook: Webhook, **query: Any) -> dict[str, Any]:
    response = http.get(path(webhook), params=query)
    assert response.ok, response.text
    shown: dict[str, Any] = response.json()
    return shown


def edit(people: Table, times: int) -> None:
    for number in range(times):
        people.update(next(iter(people.records)), {"Age": f"{number} of {times}"})


def test_payload_numbers_begin_at_one(http: HttpClient, webhook: Webhook, people: Table) -> None:
    assert page(http, webhook) == {"payloads": [], "cursor": 1, "mightHaveMore": False}
    edit(people, 1)
    shown = page(http, webhook, cursor=1)
    assert (len(shown["payloads"]), shown["cursor"], shown["mightHaveMore"]) == (1, 2, False)


def test_a_page_has_fifty_payloads(http: HttpClient, webhook: Webhook, people: Table) -> None:
    edit(people, 120)
    cursor, sizes, more = 1, [], True
    while more:
        shown = page(http, webhook, cursor=cursor)
        sizes.append(len(shown["payloads"]))
        cursor, more = shown["cursor"], shown["mightHaveMore"]
    assert (sizes, cursor) == ([50, 50, 20], 121)


def test_a_page_can_be_smaller(http: HttpClient, webhook: Webhook, people: Table) -> None:
    edit(people, 3)
    shown = page(http, webhook, cursor=2, limit=1)
    assert (len(shown["payloads"]), shown["cursor"], shown["mightHaveMore"]) == (1, 3, True)


def test_a_page_can_be_read_again(http: HttpClient, webhook: Webhook, people: Table) -> None:
    edit(people, 2)
    assert page(http, webhook, cursor=2) == page(http, webhook, cursor=2)


@pytest.mark.parametrize("query", [{"cursor": "0"}, {"cursor": "x"}, {"limit": "51"}])
def test_a_wrong_cursor_or_limit_is_rejected(
    query: dict[str, str], http: HttpClient, webhook: Webhook
) -> None:
    assert http.get(path(webhook), params=query).status_code == 422


def test_a_cursor_after_the_last_payload_gives_an_empty_page(
    http: HttpClient, webhook: Webhook, people: Table
) -> None:
    edit(people, 2)
    assert page(http, webhook, cursor=9) == {"payloads": [], "cursor": 9, "mightHaveMore": False}


def test_payloads_are_purged_after_a_week_and_numbers_continue(
    http: HttpClient, webhook: Webhook, people: Table, sandbox: Sandbox
) -> None:
    edit(people, 5)
    sandbox.clock.advance(4 * DAY)
    page(http, webhook)  # extends the lifetime
    edit(people, 2)
    sandbox.clock.advance(4 * DAY)
    shown = page(http, webhook, cursor=3)
    assert (len(shown["payloads"]), shown["cursor"]) == (2, 8)


def test_a_gap_is_visible_only_after_the_next_payload(
    http: HttpClient, webhook: Webhook, people: Table, sandbox: Sandbox
) -> None:
    edit(people, 5)
    sandbox.webhooks.lose_payloads(webhook.id)
    assert page(http, webhook, cursor=3) == {"payloads": [], "cursor": 3, "mightHaveMore": False}
    [listed] = http.get(f"/v0/bases/{PEOPLE}/webhooks").json()["webhooks"]
    assert listed["cursorForNextPayload"] == 6
    edit(people, 1)
    assert page(http, webhook, cursor=3)["cursor"] == 7


def test_payloads_below_a_number_can_be_lost(
    http: HttpClient, webhook: Webhook, people: Table, sandbox: Sandbox
) -> None:
    edit(people, 5)
    sandbox.webhooks.lose_payloads(webhook.id, before=4)
    shown = page(http, webhook)
    assert (len(shown["payloads"]), shown["cursor"]) == (2, 6)


def test_payloads_are_kept_over_a_restart(
    http: HttpClient, webhook: Webhook, people: Table, sandbox: Sandbox
) -> None:
    sandbox.stop()
    edit(people, 2)
    sandbox.start()
    assert len(page(http, webhook)["payloads"]) == 2
