"""Notifications: their content, when they are sent, and retries."""

import base64
import json
import threading
import time
from collections.abc import Iterator

import pytest
from pyairtable.models.webhook import WebhookNotification

from sandbox.airtable.data.tables import Table
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.settings import WebhookSettings
from sandbox.airtable.webhooks.webhook import Webhook
from tests.sandbox.conftest import PEOPLE, HttpClient
from tests.sandbox.webhook_support import Receiver, contents, receiving, specification, watch
from tests.support.waiting import wait_until

SETTLED = 0.2
"""Seconds in which a further notification would arrive."""

pytestmark = pytest.mark.slow


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def webhook(sandbox: Sandbox, receiver: Receiver) -> Webhook:
    sandbox.webhooks.configure(notification_delay=0.05)
    return watch(sandbox, sandbox.base(PEOPLE), specification(), receiver.url)


def edit(people: Table, times: int = 1) -> None:
    for _ in range(times):
        people.update(next(iter(people.records)), {"Age": time.monotonic_ns()})


def assert_received(receiver: Receiver, count: int) -> None:
    """Waits until this number of notifications arrived, and checks that no more do."""
    wait_until(lambda: len(receiver.notifications) >= count)
    time.sleep(SETTLED)
    assert len(receiver.notifications) == count


def test_a_notification_is_signed_and_contains_no_data(
    webhook: Webhook, receiver: Receiver, people: Table
) -> None:
    edit(people)
    assert_received(receiver, 1)
    [received] = receiver.notifications
    secret = base64.b64encode(webhook.secret).decode()
    notification = WebhookNotification.from_request(received.body, received.mac, secret)
    assert (notification.base.id, notification.webhook.id) == (PEOPLE, webhook.id)
    assert json.loads(received.body).keys() == {"base", "webhook", "timestamp"}
    with pytest.raises(ValueError, match="failed validation"):
        WebhookNotification.from_request(received.body + " ", received.mac, secret)


def test_many_changes_are_one_notification(
    webhook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    sandbox.webhooks.configure(notification_delay=1)
    edit(people, 100)
    assert_received(receiver, 1)
    assert len(contents(webhook)) == 100


def test_the_proxy_of_the_environment_is_not_used(
    webhook: Webhook, receiver: Receiver, people: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    edit(people)
    assert_received(receiver, 1)


def test_edits_over_http_send_a_notification(
    webhook: Webhook, receiver: Receiver, http: HttpClient
) -> None:
    assert http.post(f"/v0/{PEOPLE}/People", json={"fields": {"Name": "Dora"}}).ok
    assert_received(receiver, 1)


def test_an_edit_during_a_notification_sends_another_one(
    webhook: Webhook, receiver: Receiver, people: Table
) -> None:
    receiver.delay = 0.15
    edit(people)
    wait_until(lambda: receiver.notifications)
    edit(people)
    assert_received(receiver, 2)
    assert receiver.notifications[1].received_at - receiver.notifications[0].received_at >= 0.15


def test_the_result_is_listed(
    webhook: Webhook, receiver: Receiver, people: Table, http: HttpClient
) -> None:
    edit(people)
    wait_until(lambda: webhook.notification.last_result)
    [shown] = http.get(f"/v0/bases/{PEOPLE}/webhooks").json()["webhooks"]
    result = shown["lastNotificationResult"]
    assert (result["success"], result["retryNumber"]) == (True, 0)
    assert shown["lastSuccessfulNotificationTime"] == result["completionTimestamp"]


@pytest.mark.parametrize("status", [201, 302, 400, 401, 500, 503])
def test_any_status_but_200_and_204_is_retried(
    status: int, webhook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    receiver.statuses = [status]
    edit(people)
    wait_until(lambda: webhook.notification.last_result)
    assert webhook.notification.last_result is not None
    assert webhook.notification.last_result["success"] is False
    assert webhook.notification.last_result["willBeRetried"] is True
    assert str(status) in webhook.notification.last_result["error"]["message"]
    sandbox.clock.advance(5)
    assert_received(receiver, 1)
    sandbox.clock.advance(5)
    assert_received(receiver, 2)
    assert webhook.notification.last_result["success"] is True
    assert webhook.notification.last_result["retryNumber"] == 1
    assert webhook.notification.retry_number == 0


def test_a_response_with_a_body_is_a_failure(
    webhook: Webhook, receiver: Receiver, people: Table
) -> None:
    receiver.statuses, receiver.body = [200], b"ok"
    edit(people)
    wait_until(lambda: webhook.notification.last_result)
    assert webhook.notification.last_result is not None
    assert webhook.notification.last_result["success"] is False


def test_a_refused_connection_and_a_slow_response_are_failures(
    sandbox: Sandbox, receiver: Receiver, people: Table
) -> None:
    sandbox.webhooks.configure(notification_delay=0.0, notification_timeout=0.2)
    receiver.delay = 0.5
    base = sandbox.base(PEOPLE)
    webhooks = [
        watch(sandbox, base, specification(), url)
        for url in ("http://127.0.0.1:1/", receiver.url, "https://elsewhere.example/")
    ]
    edit(people)
    wait_until(lambda: all(webhook.notification.last_result for webhook in webhooks))
    messages = [
        webhook.notification.last_result["error"]["message"]
        for webhook in webhooks
        if webhook.notification.last_result
    ]
    assert all(messages)
    assert messages[2] == "The sandbox sends notifications to this machine only"


def test_after_thirteen_retries_notifications_stop_and_payloads_continue(
    webhook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    receiver.statuses = [500] * 14
    edit(people)
    waits = []
    for count in range(1, 14):
        wait_until(lambda: webhook.notification.retry_number == count)  # noqa: B023 - called at once
        assert webhook.notification.due_at is not None
        waits.append(webhook.notification.due_at - sandbox.webhooks.clock())
        sandbox.clock.advance(waits[-1])
    wait_until(lambda: not webhook.notifications_enabled)
    assert [round(wait / 10) for wait in waits] == [2**number for number in range(13)]
    assert webhook.notification.last_result is not None
    assert webhook.notification.last_result["willBeRetried"] is False
    edit(people)
    assert_received(receiver, 14)
    assert len(contents(webhook)) == 2
    sandbox.webhooks.enable_notifications(webhook.id)
    assert_received(receiver, 14)
    edit(people)
    assert_received(receiver, 15)


def test_retries_use_the_time_scale(
    webhook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    sandbox.webhooks.configure(time_scale=1000)
    receiver.statuses = [500, 500, 500]
    edit(people)
    assert_received(receiver, 4)


def test_disabled_notifications_are_not_sent(
    webhook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    sandbox.webhooks.enable_notifications(webhook.id, enable=False)
    edit(people)
    time.sleep(SETTLED)
    assert receiver.notifications == []


def test_notifications_can_be_dropped(
    webhook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    sandbox.webhooks.configure(drop_notifications=True)
    edit(people)
    wait_until(lambda: webhook.notification.due_at is None)
    sandbox.webhooks.configure(drop_notifications=False)
    time.sleep(SETTLED)
    assert receiver.notifications == []
    edit(people)
    assert_received(receiver, 1)


def test_notifications_can_be_delayed(
    webhook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    sandbox.webhooks.configure(notification_delay=0.5)
    began = time.monotonic()
    edit(people)
    assert_received(receiver, 1)
    assert receiver.notifications[0].received_at - began >= 0.5


def test_notifications_without_a_change_are_sent_on_request(
    webhook: Webhook, receiver: Receiver, sandbox: Sandbox
) -> None:
    sandbox.webhooks.notify(webhook.id, times=3)
    assert_received(receiver, 3)
    assert webhook.notification.last_result is None


def test_stopping_does_not_wait_for_a_notification(
    webhook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    receiver.delay = 60
    edit(people)
    wait_until(lambda: receiver.notifications)
    began = time.monotonic()
    sandbox.stop()
    assert time.monotonic() - began < 20


def test_a_notification_interrupted_by_the_stop_is_sent_after_the_start(
    webhook: Webhook, receiver: Receiver, people: Table, sandbox: Sandbox
) -> None:
    receiver.delay = 0.3
    edit(people)
    wait_until(lambda: receiver.notifications)
    sandbox.stop()
    receiver.delay = 0
    sandbox.start()
    assert_received(receiver, 2)


@pytest.mark.parametrize("times", [4, pytest.param(50, marks=pytest.mark.long)])
def test_a_stop_during_edits_and_notifications_is_harmless(times: int) -> None:
    base = linked_base()
    with receiving() as receiver:
        for _ in range(times):
            settings = WebhookSettings(notification_delay=0.0)
            with Sandbox([base], webhooks=settings) as sandbox:
                watch(sandbox, base, specification(), receiver.url)
                editor = threading.Thread(target=edit_clients, args=(base.table("client"),))
                editor.start()
                wait_until(lambda: sandbox.webhooks.all()[0].payloads)
            editor.join()


def edit_clients(clients: Table) -> None:
    for number in range(50):
        clients.update(next(iter(clients.records)), {"name": f"{number} {time.monotonic_ns()}"})
