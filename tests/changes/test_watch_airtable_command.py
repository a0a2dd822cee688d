"""manage.py watch_airtable: create, show and remove the webhook subscription."""

from typing import Any

import pytest

from airtable_sync.airtable.limits.request_limits import REFRESH_LIMITS
from airtable_sync.airtable.webhooks_api import CreatedWebhook, WebhooksApi
from airtable_sync.models import ChangeFeed
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.specification import Specification
from tests.monitoring.support import another_process
from tests.support.commands import run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_redis")]


@pytest.fixture(autouse=True)
def pushed(settings: Any) -> None:
    settings.AIRTABLE_CHANGES = "push"
    settings.PUBLIC_URL = "https://siftly.example.com/"


def webhooks(airtable: Sandbox) -> list[Any]:
    return list(airtable.webhooks.of(airtable.base()))


def create_foreign_webhook(airtable: Sandbox) -> Any:
    everything = Specification.parse({"options": {"filters": {"dataTypes": ["tableData"]}}})
    return airtable.webhooks.create(airtable.base(), everything, "https://other.example.com/")


def test_it_creates_a_subscription_that_notifies_our_address(airtable: Sandbox) -> None:
    status, output = run("watch_airtable")
    assert status == 0
    [webhook] = webhooks(airtable)
    assert webhook.notification_url == "https://siftly.example.com/airtable/changes/"
    assert f"The webhook subscription {webhook.id} was created" in output
    assert webhook.secret_base64 not in output


@pytest.mark.slow
def test_it_is_as_patient_with_airtable_as_a_refresh(airtable: Sandbox) -> None:
    airtable.faults.add(Fault(status=503, times=2))
    assert run("watch_airtable")[0] == 0
    assert len(webhooks(airtable)) == 1


def test_an_existing_subscription_is_not_created_again(airtable: Sandbox) -> None:
    run("watch_airtable", "create")
    status, output = run("watch_airtable", "create")
    assert (status, len(webhooks(airtable))) == (0, 1)
    assert "exists already" in output


def test_a_subscription_that_a_server_creates_at_the_same_moment_is_used(
    airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = WebhooksApi.create

    def after_another_process(api: WebhooksApi, url: str | None) -> CreatedWebhook:
        monkeypatch.setattr(WebhooksApi, "create", create)
        feed = ChangeFeed.for_base(airtable.base().id)
        another_process().new_subscription(REFRESH_LIMITS).replace(feed, "")
        return create(api, url)

    monkeypatch.setattr(WebhooksApi, "create", after_another_process)
    status, output = run("watch_airtable")
    [webhook] = webhooks(airtable)
    assert status == 0
    assert f"{webhook.id} was created at this moment by another process" in output


def test_it_shows_the_subscription(airtable: Sandbox) -> None:
    assert "There is no webhook subscription" in run("watch_airtable", "show")[1]
    run("watch_airtable")
    status, output = run("watch_airtable", "show")
    assert status == 0
    assert "https://siftly.example.com/airtable/changes/" in output


def test_it_removes_only_its_own_webhook(airtable: Sandbox) -> None:
    other = create_foreign_webhook(airtable)
    run("watch_airtable")
    status, _ = run("watch_airtable", "remove")
    assert status == 0
    assert [each.id for each in webhooks(airtable)] == [other.id]
    assert ChangeFeed.for_base(airtable.base().id).stopped


def test_a_subscription_from_before_a_lost_database_is_replaced(airtable: Sandbox) -> None:
    other = create_foreign_webhook(airtable)
    run("watch_airtable")
    ChangeFeed.objects.all().delete()
    run("watch_airtable")
    assert len(webhooks(airtable)) == 2
    assert other.id in [each.id for each in webhooks(airtable)]


def test_without_a_public_url_it_explains_what_is_missing(airtable: Sandbox, settings: Any) -> None:
    settings.PUBLIC_URL = None
    assert run("watch_airtable") == (
        1,
        "PUBLIC_URL is not set: Airtable has no address to notify.",
    )
    settings.AIRTABLE_CHANGES = "off"
    assert "AIRTABLE_CHANGES is off" in run("watch_airtable")[1]


def test_a_token_without_the_scope_for_webhooks_fails(airtable: Sandbox, settings: Any) -> None:
    airtable.add_token("reader", scopes=["data.records:read"])
    settings.AIRTABLE_API_KEY = "reader"
    status, output = run("watch_airtable")
    assert status == 1
    assert "403" in output
