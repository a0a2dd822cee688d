"""Pings: what they say, how they are gathered, tried again and given up."""

import base64
import json
import threading
import time
from collections.abc import Iterator

import pytest
from pyairtable.models.webhook import WebhookNotification

from sandbox.airtable.bases import Table
from sandbox.airtable.sample import linked_base
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.hook import Webhook
from sandbox.airtable.webhooks.settings import WebhookSettings
from tests.sandbox.conftest import PEOPLE, Asker
from tests.sandbox.feed import Receiver, contents, receiving, specification, wait_until, watch

SETTLED = 0.2
"""Seconds after which a ping would have come."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def hook(sandbox: Sandbox, receiver: Receiver) -> Webhook:
    sandbox.webhooks.configure(ping_delay=0.05)
    return watch(sandbox, sandbox.base(PEOPLE), specification(), receiver.url)


def edit(people: Table, times: int = 1) -> None:
    for _ in range(times):
        people.update(next(iter(people.records)), {"Age": time.monotonic_ns()})


def came(receiver: Receiver, count: int) -> None:
    """So many pings came, and no more."""
    wait_until(lambda: len(receiver.pings) >= count)
    time.sleep(SETTLED)
    assert len(receiver.pings) == count


def test_a_ping_is_authentic_and_carries_no_data(
    hook: Webhook, receiver: Receiver, people: Table
) -> None:
    edit(people)
    came(receiver, 1)
    [ping] = receiver.pings
    secret = base64.b64encode(hook.secret).decode()
    notification = WebhookNotification.from_request(ping.body, ping.mac, secret)
    assert (notification.base.id, notification.webhook.id) == (PEOPLE, hook.id)
    assert json.loads(ping.body).keys() == {"base", "webhook", "timestamp"}
    with pytest.raises(ValueError, match="failed validation"):
        WebhookNotification.from_request(ping.body + " ", ping.mac, secret)


def test_a_burst_is_one_ping(
    hook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    sandbox.webhooks.configure(ping_delay=1)
    edit(people, 100)
    came(receiver, 1)
    assert len(contents(hook)) == 100


def test_the_environments_proxy_is_not_used(
    hook: Webhook, receiver: Receiver, people: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    edit(people)
    came(receiver, 1)


def test_edits_over_http_ping(hook: Webhook, receiver: Receiver, ask: Asker) -> None:
    assert ask.post(f"/v0/{PEOPLE}/People", json={"fields": {"Name": "Dora"}}).ok
    came(receiver, 1)


def test_an_edit_while_a_ping_is_under_way_pings_again(
    hook: Webhook, receiver: Receiver, people: Table
) -> None:
    receiver.delay = 0.15
    edit(people)
    wait_until(lambda: receiver.pings)
    edit(people)
    came(receiver, 2)
    assert receiver.pings[1].at - receiver.pings[0].at >= 0.15


def test_the_result_is_listed(hook: Webhook, receiver: Receiver, people: Table, ask: Asker) -> None:
    edit(people)
    wait_until(lambda: hook.ping.last_result)
    [shown] = ask.get(f"/v0/bases/{PEOPLE}/webhooks").json()["webhooks"]
    result = shown["lastNotificationResult"]
    assert (result["success"], result["retryNumber"]) == (True, 0)
    assert shown["lastSuccessfulNotificationTime"] == result["completionTimestamp"]


@pytest.mark.parametrize("status", [201, 302, 400, 401, 500, 503])
def test_anything_but_200_and_204_is_tried_again(
    status: int, hook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    receiver.statuses = [status]
    edit(people)
    wait_until(lambda: hook.ping.last_result)
    assert hook.ping.last_result is not None
    assert hook.ping.last_result["success"] is False
    assert hook.ping.last_result["willBeRetried"] is True
    assert str(status) in hook.ping.last_result["error"]["message"]
    sandbox.clock.advance(5)
    came(receiver, 1)
    sandbox.clock.advance(5)
    came(receiver, 2)
    assert hook.ping.last_result["success"] is True
    assert hook.ping.last_result["retryNumber"] == 1
    assert hook.ping.retry_number == 0


def test_an_answer_with_a_body_is_a_failure(
    hook: Webhook, receiver: Receiver, people: Table
) -> None:
    receiver.statuses, receiver.body = [200], b"ok"
    edit(people)
    wait_until(lambda: hook.ping.last_result)
    assert hook.ping.last_result is not None
    assert hook.ping.last_result["success"] is False


def test_nobody_listening_and_too_slow_an_answer_are_failures(
    sandbox: Sandbox, receiver: Receiver, people: Table
) -> None:
    sandbox.webhooks.configure(ping_delay=0.0, ping_timeout=0.2)
    receiver.delay = 0.5
    base = sandbox.base(PEOPLE)
    hooks = [
        watch(sandbox, base, specification(), url)
        for url in ("http://127.0.0.1:1/", receiver.url, "https://elsewhere.example/")
    ]
    edit(people)
    wait_until(lambda: all(hook.ping.last_result for hook in hooks))
    messages = [
        hook.ping.last_result["error"]["message"] for hook in hooks if hook.ping.last_result
    ]
    assert all(messages)
    assert messages[2] == "The sandbox pings this machine only"


def test_after_thirteen_retries_pings_stop_and_payloads_go_on(
    hook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    receiver.statuses = [500] * 14
    edit(people)
    waits = []
    for count in range(1, 14):
        wait_until(lambda: hook.ping.retry_number == count)  # noqa: B023 - called at once
        assert hook.ping.due_at is not None
        waits.append(hook.ping.due_at - sandbox.webhooks.clock())
        sandbox.clock.advance(waits[-1])
    wait_until(lambda: not hook.notifications_enabled)
    assert [round(wait / 10) for wait in waits] == [2**number for number in range(13)]
    assert hook.ping.last_result is not None
    assert hook.ping.last_result["willBeRetried"] is False
    edit(people)
    came(receiver, 14)
    assert len(contents(hook)) == 2
    sandbox.webhooks.enable_notifications(hook.id)
    came(receiver, 14)
    edit(people)
    came(receiver, 15)


def test_retries_follow_the_time_scale(
    hook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    sandbox.webhooks.configure(time_scale=1000)
    receiver.statuses = [500, 500, 500]
    edit(people)
    came(receiver, 4)


def test_a_disabled_hook_is_not_pinged(
    hook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    sandbox.webhooks.enable_notifications(hook.id, enable=False)
    edit(people)
    time.sleep(SETTLED)
    assert receiver.pings == []


def test_pings_may_get_lost(
    hook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    sandbox.webhooks.configure(drop_pings=True)
    edit(people)
    wait_until(lambda: hook.ping.due_at is None)
    sandbox.webhooks.configure(drop_pings=False)
    time.sleep(SETTLED)
    assert receiver.pings == []
    edit(people)
    came(receiver, 1)


def test_pings_may_be_late(
    hook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    sandbox.webhooks.configure(ping_delay=0.5)
    began = time.monotonic()
    edit(people)
    came(receiver, 1)
    assert receiver.pings[0].at - began >= 0.5


def test_pings_for_no_reason_come_as_often_as_asked(
    hook: Webhook, receiver: Receiver, sandbox: Sandbox
) -> None:
    sandbox.webhooks.ping(hook.id, times=3)
    came(receiver, 3)
    assert hook.ping.last_result is None


def test_stopping_is_quick_while_a_ping_waits_for_its_answer(
    hook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    receiver.delay = 2
    edit(people)
    wait_until(lambda: receiver.pings)
    began = time.monotonic()
    sandbox.stop()
    assert time.monotonic() - began < 1


def test_a_ping_cut_off_by_the_stop_comes_after_the_start(
    hook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    receiver.delay = 0.3
    edit(people)
    wait_until(lambda: receiver.pings)
    sandbox.stop()
    receiver.delay = 0
    sandbox.start()
    came(receiver, 2)


def test_a_stop_meets_edits_and_pings_in_any_order() -> None:
    base = linked_base()
    with receiving() as receiver:
        for _ in range(20):
            settings = WebhookSettings(ping_delay=0.0)
            with Sandbox([base], webhooks=settings) as sandbox:
                watch(sandbox, base, specification(), receiver.url)
                editor = threading.Thread(target=edit_clients, args=(base.table("client"),))
                editor.start()
                wait_until(lambda: sandbox.webhooks.all()[0].payloads)
            editor.join()


def edit_clients(clients: Table) -> None:
    for number in range(50):
        clients.update(next(iter(clients.records)), {"name": f"{number} {time.monotonic_ns()}"})
