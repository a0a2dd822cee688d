"""manage.py watch_airtable: create, show and remove the hook on the base."""

from typing import Any

import pytest

from airtable_sync.models import ChangeFeed
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.specification import Specification
from tests.support.commands import run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_redis")]


@pytest.fixture(autouse=True)
def pushed(settings: Any) -> None:
    settings.AIRTABLE_CHANGES = "push"
    settings.PUBLIC_URL = "https://siftly.example.com/"


def hooks(airtable: Sandbox) -> list[Any]:
    return list(airtable.webhooks.of(airtable.base()))


def foreign(airtable: Sandbox) -> Any:
    everything = Specification.parse({"options": {"filters": {"dataTypes": ["tableData"]}}})
    return airtable.webhooks.create(airtable.base(), everything, "https://other.example.com/")


def test_it_creates_a_hook_that_pings_our_address(airtable: Sandbox) -> None:
    status, output = run("watch_airtable")
    assert status == 0
    [hook] = hooks(airtable)
    assert hook.notification_url == "https://siftly.example.com/airtable/changes/"
    assert f"Hook {hook.id} was created" in output
    assert hook.secret_base64 not in output


def test_a_second_time_it_is_there_already(airtable: Sandbox) -> None:
    run("watch_airtable", "create")
    status, output = run("watch_airtable", "create")
    assert (status, len(hooks(airtable))) == (0, 1)
    assert "is there already" in output


def test_it_shows_the_hook(airtable: Sandbox) -> None:
    assert "There is no hook" in run("watch_airtable", "show")[1]
    run("watch_airtable")
    status, output = run("watch_airtable", "show")
    assert status == 0
    assert "https://siftly.example.com/airtable/changes/" in output


def test_it_removes_its_own_hook_and_no_other(airtable: Sandbox) -> None:
    other = foreign(airtable)
    run("watch_airtable")
    status, _ = run("watch_airtable", "remove")
    assert status == 0
    assert [each.id for each in hooks(airtable)] == [other.id]
    assert ChangeFeed.of_this_base().stopped


def test_one_that_a_lost_database_left_behind_is_replaced(airtable: Sandbox) -> None:
    other = foreign(airtable)
    run("watch_airtable")
    ChangeFeed.objects.all().delete()
    run("watch_airtable")
    assert len(hooks(airtable)) == 2
    assert other.id in [each.id for each in hooks(airtable)]


def test_without_an_address_it_says_what_is_missing(airtable: Sandbox, settings: Any) -> None:
    settings.PUBLIC_URL = None
    assert run("watch_airtable") == (
        1,
        "PUBLIC_URL is not set: Airtable would not know where to ping.",
    )
    settings.AIRTABLE_CHANGES = "off"
    assert "AIRTABLE_CHANGES is off" in run("watch_airtable")[1]


def test_a_token_that_may_not_make_hooks_is_told(airtable: Sandbox, settings: Any) -> None:
    airtable.add_token("reader", scopes=["data.records:read"])
    settings.AIRTABLE_API_KEY = "reader"
    status, output = run("watch_airtable")
    assert status == 1
    assert "403" in output
