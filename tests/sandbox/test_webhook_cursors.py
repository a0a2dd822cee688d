"""A hook's payloads page by page, and the gaps that purging leaves."""

from typing import Any

import pytest

from sandbox.airtable.bases import Table
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.hook import Webhook
from tests.sandbox.conftest import PEOPLE, Asker
from tests.sandbox.feed import specification, watch

DAY = 86_400


@pytest.fixture
def hook(sandbox: Sandbox) -> Webhook:
    return watch(sandbox, sandbox.base(PEOPLE), specification())


def path(hook: Webhook) -> str:
    return f"/v0/bases/{PEOPLE}/webhooks/{hook.id}/payloads"


def page(ask: Asker, hook: Webhook, **query: Any) -> dict[str, Any]:
    answer = ask.get(path(hook), params=query)
    assert answer.ok, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def edit(people: Table, times: int) -> None:
    for number in range(times):
        people.update(next(iter(people.records)), {"Age": f"{number} of {times}"})


def test_numbers_begin_at_one(ask: Asker, hook: Webhook, people: Table) -> None:
    assert page(ask, hook) == {"payloads": [], "cursor": 1, "mightHaveMore": False}
    edit(people, 1)
    shown = page(ask, hook, cursor=1)
    assert (len(shown["payloads"]), shown["cursor"], shown["mightHaveMore"]) == (1, 2, False)


def test_a_page_has_fifty_payloads(ask: Asker, hook: Webhook, people: Table) -> None:
    edit(people, 120)
    cursor, sizes, more = 1, [], True
    while more:
        shown = page(ask, hook, cursor=cursor)
        sizes.append(len(shown["payloads"]))
        cursor, more = shown["cursor"], shown["mightHaveMore"]
    assert (sizes, cursor) == ([50, 50, 20], 121)


def test_a_page_may_be_smaller(ask: Asker, hook: Webhook, people: Table) -> None:
    edit(people, 3)
    shown = page(ask, hook, cursor=2, limit=1)
    assert (len(shown["payloads"]), shown["cursor"], shown["mightHaveMore"]) == (1, 3, True)


def test_a_page_may_be_read_again(ask: Asker, hook: Webhook, people: Table) -> None:
    edit(people, 2)
    assert page(ask, hook, cursor=2) == page(ask, hook, cursor=2)


@pytest.mark.parametrize("query", [{"cursor": "0"}, {"cursor": "x"}, {"limit": "51"}])
def test_a_wrong_cursor_or_limit_is_refused(
    query: dict[str, str], ask: Asker, hook: Webhook
) -> None:
    assert ask.get(path(hook), params=query).status_code == 422


def test_a_cursor_ahead_of_the_log_finds_nothing(ask: Asker, hook: Webhook, people: Table) -> None:
    edit(people, 2)
    assert page(ask, hook, cursor=9) == {"payloads": [], "cursor": 9, "mightHaveMore": False}


def test_payloads_are_purged_after_a_week_and_numbers_go_on(
    ask: Asker, hook: Webhook, people: Table, sandbox: Sandbox
) -> None:
    edit(people, 5)
    sandbox.clock.advance(4 * DAY)
    page(ask, hook)  # keeps the hook alive
    edit(people, 2)
    sandbox.clock.advance(4 * DAY)
    shown = page(ask, hook, cursor=3)
    assert (len(shown["payloads"]), shown["cursor"]) == (2, 8)


def test_a_gap_does_not_show_before_the_next_payload(
    ask: Asker, hook: Webhook, people: Table, sandbox: Sandbox
) -> None:
    edit(people, 5)
    sandbox.webhooks.lose_payloads(hook.id)
    assert page(ask, hook, cursor=3) == {"payloads": [], "cursor": 3, "mightHaveMore": False}
    [listed] = ask.get(f"/v0/bases/{PEOPLE}/webhooks").json()["webhooks"]
    assert listed["cursorForNextPayload"] == 6
    edit(people, 1)
    assert page(ask, hook, cursor=3)["cursor"] == 7


def test_some_payloads_may_be_lost(
    ask: Asker, hook: Webhook, people: Table, sandbox: Sandbox
) -> None:
    edit(people, 5)
    sandbox.webhooks.lose_payloads(hook.id, before=4)
    shown = page(ask, hook)
    assert (len(shown["payloads"]), shown["cursor"]) == (2, 6)


def test_the_log_outlives_a_restart(
    ask: Asker, hook: Webhook, people: Table, sandbox: Sandbox
) -> None:
    sandbox.stop()
    edit(people, 2)
    sandbox.start()
    assert len(page(ask, hook)["payloads"]) == 2
