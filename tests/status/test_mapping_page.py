"""The mapping's pages without a browser: where a file wins, and where nothing is set up yet."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from airtable_sync.models import MappingDraft
from sandbox.airtable.server import Sandbox
from tests.support.commands import refresh

pytestmark = pytest.mark.django_db
PAGE = "/admin/cache/mapping/"
TEXT = {"text": "[numbers]\ntable = 'x'\nnumber_field = 'y'\n", "based_on": "0"}


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    return client


def shown(client: Client, path: str, data: dict[str, str] | None = None) -> str:
    answer = client.post(PAGE + path, data) if data else client.get(PAGE + path)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.usefixtures("valkey")
def test_where_a_file_is_named_the_pages_are_read_only(admin: Client, airtable: Sandbox) -> None:
    refresh()
    page = shown(admin, "")
    assert "This page is read-only. AIRTABLE_MAPPING names a file" in page
    assert 'id="edit"' not in page
    assert "Made of these records" in page  # the examples
    assert "It fits the base as it is now." in shown(admin, "problems/")
    for path in ("edit/", "propose/"):
        assert admin.get(PAGE + path).status_code == 302
    assert "the file wins" in shown(admin, "preview/", TEXT)
    assert MappingDraft.objects.count() == 0


@pytest.mark.usefixtures("fake_redis")
def test_without_airtable_the_pages_say_what_is_missing(admin: Client, settings: Any) -> None:
    settings.AIRTABLE_MAPPING = ""
    settings.AIRTABLE_API_KEY = settings.AIRTABLE_BASE_ID = None
    assert "nothing was published yet" in shown(admin, "")
    assert "AIRTABLE_API_KEY and AIRTABLE_BASE_ID are not both set." in shown(admin, "problems/")
    assert "AIRTABLE_API_KEY is not set." in shown(admin, "propose/", {"table": ""})
    assert "have to be set first" in shown(admin, "preview/", TEXT)
    assert "Line 1" in shown(admin, "edit/", {"text": "[numbers"})
