"""Faults in the change feed, in this process and over HTTP, and the cost of watching a base."""

import threading
import time
from typing import Any

import pytest

from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.settings import WebhookSettings
from sandbox.airtable.webhooks.webhook import Webhook
from tests.sandbox.conftest import PEOPLE, control
from tests.sandbox.webhook_support import contents, receiving, specification, watch
from tests.support.waiting import wait_until


@pytest.fixture
def webhook(sandbox: Sandbox) -> Webhook:
    return watch(sandbox, sandbox.base(PEOPLE), specification(), "http://127.0.0.1:1/")


def act(sandbox: Sandbox, webhook: Webhook, **action: Any) -> None:
    response = control(sandbox, "POST", f"webhooks/{webhook.id}", json=action)
    assert response.status_code == 204, response.text


def test_payloads_can_have_an_unknown_format_and_missing_keys(
    sandbox: Sandbox, webhook: Webhook, people: Table
) -> None:
    sandbox.webhooks.configure(payload_format="v1", omitted_keys=("timestamp", "actionMetadata"))
    people.create({"Name": "Dora"})
    [content] = contents(webhook)
    assert content.keys() == {"baseTransactionNumber", "payloadFormat", "changedTablesById"}
    assert content["payloadFormat"] == "v1"


def test_a_payload_can_have_any_shape(sandbox: Sandbox, webhook: Webhook) -> None:
    sandbox.webhooks.add_payload(webhook.id, {"what": ["is", "this"]})
    assert contents(webhook) == [{"what": ["is", "this"]}]


def test_payloads_continue_after_an_internal_error(
    sandbox: Sandbox, webhook: Webhook, people: Table
) -> None:
    sandbox.webhooks.fail(webhook.id)
    people.create({"Name": "Dora"})
    assert [content.get("code") for content in contents(webhook)] == ["INTERNAL_ERROR", None]


@pytest.mark.parametrize("code", ["INVALID_HOOK", "INVALID_FILTERS"])
def test_an_invalid_webhook_gets_no_more_payloads(
    code: str, sandbox: Sandbox, webhook: Webhook, people: Table
) -> None:
    sandbox.webhooks.fail(webhook.id, code)
    people.create({"Name": "Dora"})
    assert [content["code"] for content in contents(webhook)] == [code]


def test_settings_are_shown_and_changed_over_http(sandbox: Sandbox, webhook: Webhook) -> None:
    body = {
        "notification_delay": 1,
        "drop_notifications": True,
        "omitted_keys": ["x"],
        "time_scale": 60.0,
    }
    assert control(sandbox, "POST", "webhooks", json=body).status_code == 204
    shown = control(sandbox, "GET", "webhooks").json()
    assert shown["settings"].items() >= body.items()
    [each] = shown["webhooks"]
    assert (each["id"], each["base"], each["payloads"]) == (webhook.id, PEOPLE, 0)
    assert sandbox.webhooks.settings.drop_notifications is True


def test_faults_are_caused_over_http(sandbox: Sandbox, webhook: Webhook, people: Table) -> None:
    act(sandbox, webhook, add_payload={"payloadFormat": "v9"})
    act(sandbox, webhook, fail="")
    people.create({"Name": "Dora"})
    act(sandbox, webhook, lose_payloads=3)
    assert [each.number for each in webhook.payloads] == [3]
    act(sandbox, webhook, notifications=False)
    assert webhook.notifications_enabled is False
    act(sandbox, webhook, fail="INVALID_HOOK")
    assert webhook.is_invalid
    act(sandbox, webhook, expire=True)
    assert control(sandbox, "GET", "webhooks").json()["webhooks"][0]["expires_in"] <= 0


def test_notifications_are_sent_on_request_over_http(sandbox: Sandbox) -> None:
    with receiving() as receiver:
        webhook = watch(sandbox, sandbox.base(PEOPLE), specification(), receiver.url)
        act(sandbox, webhook, notify=2)
        wait_until(lambda: len(receiver.notifications) == 2)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("webhooks", {"notification_dealy": 1}),
        ("webhooks", {"notification_delay": "1"}),
        ("webhooks", {"notification_delay": -1}),
        ("webhooks", {"notification_delay": True}),
        ("webhooks", {"notification_retries": 1.5}),
        ("webhooks", {"time_scale": 0}),
        ("webhooks", {"omitted_keys": [1]}),
        ("webhooks/{webhook}", {}),
        ("webhooks/{webhook}", {"notify": 1, "expire": True}),
        ("webhooks/{webhook}", {"explode": True}),
        ("webhooks/{webhook}", {"notify": True}),
        ("webhooks/{webhook}", {"notifications": 1}),
        ("webhooks/achNowhere", {"notify": 1}),
    ],
)
def test_a_wrong_request_gets_an_error_message(
    path: str, body: Any, sandbox: Sandbox, webhook: Webhook
) -> None:
    response = control(sandbox, "POST", path.format(webhook=webhook.id), json=body)
    assert response.status_code == 400
    assert response.json()["error"]


def test_a_wrong_setting_is_rejected() -> None:
    with pytest.raises(ValueError, match="time_scale must be above 0"):
        WebhookSettings(time_scale=0.0)


def test_edits_from_many_threads_are_all_in_the_payloads(
    sandbox: Sandbox, webhook: Webhook, people: Table
) -> None:
    def create(name: str) -> None:
        for number in range(50):
            people.create({"Name": f"{name} {number}"})

    threads = [threading.Thread(target=create, args=(str(each),)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reported = [
        record_id
        for content in contents(webhook)
        for record_id in content["changedTablesById"][people.id]["createdRecordsById"]
    ]
    assert set(reported) == set(list(people.records)[3:])
    assert len(reported) == 400


def test_an_edit_of_a_large_watched_base_is_fast() -> None:
    """The requirement is 1,000 edits in ten seconds."""
    base = Base("appLarge000000000", "", [Table("Many", [Field("Name"), Field("Age", "number")])])
    many = base.table("Many")
    for number in range(5_000):
        many.create({"Name": str(number)})
    webhook = watch(Sandbox([base]), base, specification())
    ids = list(many.records)[:1000]
    began = time.thread_time()  # CPU time: the machine may be busy
    for number, record_id in enumerate(ids):
        many.update(record_id, {"Age": number + 1})
    assert time.thread_time() - began < 2
    assert len(contents(webhook)) == 1000
