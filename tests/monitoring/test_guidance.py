"""Every problem leads somewhere: to the next step, the status page and a section of the docs."""

import re
from datetime import UTC, datetime
from typing import get_args

import pytest
from django.contrib.auth.models import User
from django.test import Client

from airtable_sync.monitoring.alerts.incidents import IncidentChange
from airtable_sync.monitoring.alerts.text import alert_text, service_origin
from airtable_sync.monitoring.guidance import DOCS, help_path
from airtable_sync.monitoring.health_rules import HealthFacts, Kind, LastRun
from airtable_sync.status.help_pages import FOR_DEVELOPERS, rendered
from tests.support.servers.server import ROOT

NOW = datetime(2026, 11, 29, tzinfo=UTC)
ORIGIN = "https://siftly.example.com"


def test_every_kind_of_alert_is_in_the_docs_and_every_page_exists() -> None:
    assert set(get_args(Kind)) <= set(DOCS)
    assert all((ROOT / "docs" / page).is_file() for page in DOCS.values())


@pytest.mark.parametrize("kind", get_args(Kind))
def test_an_alert_says_what_to_do_next_and_where(kind: Kind) -> None:
    facts = HealthFacts(NOW, NOW, last_run=LastRun("failed", NOW, "Airtable answered 401 there."))
    lines = alert_text(IncidentChange(kind, "It is broken."), facts, ORIGIN).splitlines()
    assert lines[0] == "It is broken."
    assert re.fullmatch(r"Next: \S.{15,}\.", lines[1])
    assert lines[2] == f"Status page: {ORIGIN}/admin/cache/"
    assert lines[3] == f"Help: {ORIGIN}{help_path(kind)}"
    assert lines[3].startswith(f"Help: {ORIGIN}/admin/cache/help/problems/")
    ended = alert_text(IncidentChange(kind), facts, ORIGIN)
    assert re.fullmatch(rf"Resolved: .+\.\nStatus page: {ORIGIN}/admin/cache/", ended)


def test_a_rejected_refresh_has_a_step_and_a_section_of_its_own() -> None:
    facts = HealthFacts(NOW, NOW, last_run=LastRun("refused", NOW, "no number in Airtable has …"))
    text = alert_text(IncidentChange("refresh", "It was rejected."), facts, ORIGIN)
    assert "Next: Check the numbers' table in Airtable" in text
    assert text.endswith("/help/problems/refresh-rejected/")


@pytest.mark.parametrize(
    ("public_url", "hosts", "expected"),
    [
        ("https://siftly.example.com/base", ["localhost"], ORIGIN),
        (None, ["localhost", "127.0.0.1", "siftly.example.com"], ORIGIN),
        (None, [".example.com"], "https://example.com"),
        (None, ["localhost", "127.0.0.1", "[::1]"], "http://127.0.0.1:8001"),
        (None, ["*"], "http://127.0.0.1:8001"),
    ],
)
def test_the_address_is_the_public_one_or_that_of_make_run(
    public_url: str | None, hosts: list[str], expected: str
) -> None:
    assert service_origin(public_url, hosts, "8001") == expected


@pytest.mark.django_db
def test_the_docs_are_pages_of_the_admin_and_their_links_work() -> None:
    client = Client()
    assert client.get(help_path("cron")).status_code == 302  # to the login
    client.force_login(User.objects.create_superuser("ada"))
    texts = {}
    for file in (ROOT / "docs").rglob("*.md"):
        page = file.relative_to(ROOT / "docs").with_suffix("").as_posix()
        if page.startswith(FOR_DEVELOPERS):
            continue
        response = client.get(f"/admin/cache/help/{page}/")
        assert response.status_code == 200
        texts[f"/admin/cache/help/{page}/"] = response.text
    for path, text in texts.items():
        content = text.partition('class="card docs"')[2]
        for href in re.findall(r'href="(/admin/cache/help/[^"]+|#[^"]*)"', content):
            other, _, section = href.partition("#")
            assert not section or f'id="{section}"' in texts[other or path], (path, href)
    for wrong in ("nothing", "../manage", "%2e%2e/README", "platforms.md", "README"):
        assert client.get(f"/admin/cache/help/{wrong}/").status_code == 404


def test_html_in_the_docs_is_text_and_links_lead_to_help_pages() -> None:
    text = (
        "# Title\n\n<script>x</script> [a](metrics.md#b-c) [b](../platforms.md) "
        "[c](../images/x.png) ![d](e.png)\n\n```{toctree}\nhidden\n```\n"
    )
    title, content = rendered(text, "reference/commands")
    assert title == "Title"
    assert "<script>" not in content
    assert 'href="/admin/cache/help/reference/metrics/#b-c"' in content
    assert 'href="/admin/cache/help/platforms/"' in content
    assert "hidden" not in content
    assert "<img" not in content
