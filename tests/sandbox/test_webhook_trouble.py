"""Spoiling the feed, in this process and over HTTP; what watching costs."""

import threading
import time
from typing import Any

import pytest

from sandbox.airtable.bases import Base, Field, Table
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.hook import Webhook
from sandbox.airtable.webhooks.settings import WebhookSettings
from tests.sandbox.conftest import PEOPLE
from tests.sandbox.feed import contents, receiving, specification, wait_until, watch
from tests.sandbox.test_control_routes import control


@pytest.fixture
def hook(sandbox: Sandbox) -> Webhook:
    return watch(sandbox, sandbox.base(PEOPLE), specification(), "http://127.0.0.1:1/")


def act(sandbox: Sandbox, hook: Webhook, **action: Any) -> None:
    answer = control(sandbox, "POST", f"webhooks/{hook.id}", json=action)
    assert answer.status_code == 204, answer.text


def test_an_unknown_format_and_missing_keys(sandbox: Sandbox, hook: Webhook, people: Table) -> None:
    sandbox.webhooks.configure(payload_format="v1", omitted_keys=("timestamp", "actionMetadata"))
    people.create({"Name": "Dora"})
    [content] = contents(hook)
    assert content.keys() == {"baseTransactionNumber", "payloadFormat", "changedTablesById"}
    assert content["payloadFormat"] == "v1"


def test_a_payload_of_any_shape(sandbox: Sandbox, hook: Webhook) -> None:
    sandbox.webhooks.add_payload(hook.id, {"what": ["is", "this"]})
    assert contents(hook) == [{"what": ["is", "this"]}]


def test_an_internal_error_is_told_and_the_hook_goes_on(
    sandbox: Sandbox, hook: Webhook, people: Table
) -> None:
    sandbox.webhooks.fail(hook.id)
    people.create({"Name": "Dora"})
    assert [content.get("code") for content in contents(hook)] == ["INTERNAL_ERROR", None]


@pytest.mark.parametrize("code", ["INVALID_HOOK", "INVALID_FILTERS"])
def test_an_invalidated_hook_is_told_nothing_more(
    code: str, sandbox: Sandbox, hook: Webhook, people: Table
) -> None:
    sandbox.webhooks.fail(hook.id, code)
    people.create({"Name": "Dora"})
    assert [content["code"] for content in contents(hook)] == [code]


def test_settings_are_shown_and_changed_over_http(sandbox: Sandbox, hook: Webhook) -> None:
    body = {"ping_delay": 1, "drop_pings": True, "omitted_keys": ["x"], "time_scale": 60.0}
    assert control(sandbox, "POST", "webhooks", json=body).status_code == 204
    shown = control(sandbox, "GET", "webhooks").json()
    assert shown["settings"].items() >= body.items()
    [each] = shown["webhooks"]
    assert (each["id"], each["base"], each["payloads"]) == (hook.id, PEOPLE, 0)
    assert sandbox.webhooks.settings.drop_pings is True


def test_a_hook_is_spoiled_over_http(sandbox: Sandbox, hook: Webhook, people: Table) -> None:
    act(sandbox, hook, add_payload={"payloadFormat": "v9"})
    act(sandbox, hook, fail="")
    people.create({"Name": "Dora"})
    act(sandbox, hook, lose_payloads=3)
    assert [each.number for each in hook.payloads] == [3]
    act(sandbox, hook, notifications=False)
    assert hook.notifications_enabled is False
    act(sandbox, hook, fail="INVALID_HOOK")
    assert hook.invalid
    act(sandbox, hook, expire=True)
    assert control(sandbox, "GET", "webhooks").json()["webhooks"][0]["expires_in"] <= 0


def test_a_ping_is_asked_for_over_http(sandbox: Sandbox) -> None:
    with receiving() as receiver:
        hook = watch(sandbox, sandbox.base(PEOPLE), specification(), receiver.url)
        act(sandbox, hook, ping=2)
        wait_until(lambda: len(receiver.pings) == 2)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("webhooks", {"ping_dealy": 1}),
        ("webhooks", {"ping_delay": "1"}),
        ("webhooks", {"ping_delay": -1}),
        ("webhooks", {"ping_delay": True}),
        ("webhooks", {"ping_retries": 1.5}),
        ("webhooks", {"time_scale": 0}),
        ("webhooks", {"omitted_keys": [1]}),
        ("webhooks/{hook}", {}),
        ("webhooks/{hook}", {"ping": 1, "expire": True}),
        ("webhooks/{hook}", {"explode": True}),
        ("webhooks/{hook}", {"ping": True}),
        ("webhooks/{hook}", {"notifications": 1}),
        ("webhooks/achNowhere", {"ping": 1}),
    ],
)
def test_a_mistake_is_explained(path: str, body: Any, sandbox: Sandbox, hook: Webhook) -> None:
    answer = control(sandbox, "POST", path.format(hook=hook.id), json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_wrong_setting_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="time_scale is above 0"):
        WebhookSettings(time_scale=0.0)


def test_edits_from_many_threads_are_all_told(
    sandbox: Sandbox, hook: Webhook, people: Table
) -> None:
    def create(name: str) -> None:
        for number in range(50):
            people.create({"Name": f"{name} {number}"})

    threads = [threading.Thread(target=create, args=(str(each),)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [
        record_id
        for content in contents(hook)
        for record_id in content["changedTablesById"][people.id]["createdRecordsById"]
    ]
    assert set(told) == set(list(people.records)[3:])
    assert len(told) == 400


def test_an_edit_of_a_large_watched_base_costs_little() -> None:
    """1,000 edits in ten seconds are asked for; a tenth of that is a wide bound."""
    base = Base("appLarge000000000", "", [Table("Many", [Field("Name"), Field("Age", "number")])])
    many = base.table("Many")
    for number in range(20_000):
        many.create({"Name": str(number)})
    hook = watch(Sandbox([base]), base, specification())
    ids = list(many.records)[:1000]
    began = time.monotonic()
    for number, record_id in enumerate(ids):
        many.update(record_id, {"Age": number + 1})
    assert time.monotonic() - began < 1
    assert len(contents(hook)) == 1000
