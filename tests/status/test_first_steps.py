"""The first steps without a browser: what Airtable says of the token and the mapping, and whether
a call was only a test."""

from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.test import Client

from airtable_sync.status.first_run.airtable_trial import RECORDS, SCHEMA, WEBHOOKS, try_airtable
from airtable_sync.status.first_run.checklist import TEST_CALL, checklist
from sandbox.airtable.server import Sandbox
from tests.support.services import services

pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("valkey")
def test_the_token_is_tried_and_what_it_lacks_is_named(airtable: Sandbox, settings: Any) -> None:
    airtable.add_token("no records", scopes=[SCHEMA, WEBHOOKS])
    airtable.add_token("no schema", scopes=[RECORDS, WEBHOOKS])
    airtable.add_token("other base", bases=["appOther000000001"])
    assert try_airtable(services()).token_problem == ""
    for token, problem in (
        ("no records", f"lacks the scope `{RECORDS}`"),
        ("no schema", f"lacks the scope `{SCHEMA}`"),
        ("other base", "has no access to the base `app"),
        ("unknown", "Airtable does not know the token"),
    ):
        settings.AIRTABLE_API_KEY = token
        assert problem in try_airtable(services()).token_problem


@pytest.mark.usefixtures("valkey")
def test_each_step_has_its_state_and_a_page_of_the_docs(airtable: Sandbox) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    page = client.get("/admin/cache/").content.decode()
    assert airtable.requests == []
    for name in ("problems/airtable-token", "guides/mapping", "platforms/retell"):
        assert f'href="/admin/cache/help/{name}/"' in page
    steps = client.get("/admin/cache/first-steps/").content.decode()
    for title in ("Airtable can be read: token, scopes, base", "The mapping fits the base"):
        assert f'{title}</strong><span class="visually-hidden">: done' in steps
        assert f'{title}</strong><span class="visually-hidden">: to do' in page


def test_a_test_call_does_not_show_that_the_platform_has_the_address(settings: Any) -> None:
    def done() -> set[str]:
        return {each.title for each in checklist(services(), (), settings, None) if each.is_done}

    ada = User.objects.create_superuser("ada")
    LogEntry.objects.create(user=ada, action_flag=CHANGE, change_message=f"{TEST_CALL} retell.")
    calls = services().counters.counts.calls  # there is no Redis
    assert done() == set()
    calls["retell", "memory"] += 1
    assert done() == {"A call has arrived"}
    calls["retell", "memory"] += 1
    assert done() == {"A call has arrived", "The platform has Siftly's address"}
