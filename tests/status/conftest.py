"""The browser tests have two files: one changes nothing, the other changes everything. Each has one
browser and one site, and is a group of its own: pytest-xdist runs it in one process."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from sandbox.airtable.sample.bases import linked_base
from tests.support.browser import Site, chromium, require_browser, site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site for all tests of a module."""
    require_browser()
    folder = tmp_path_factory.mktemp("site")
    with site(folder, linked_base(), AIRTABLE_PLAN="team") as started:
        yield started


RECOVERY = """
import io
import time
from django.core.management import call_command
from airtable_sync.models import Override
from airtable_sync.monitoring.calls.unknown_numbers import UnknownNumbers
from airtable_sync.services import services

for each in Override.objects.all():
    services().overrides.end(each.number)
unknown = UnknownNumbers(services().command_store)
for each in unknown.called():
    unknown.erase(each.number)
services().rate_limiter.unblock()
report = '"busy"'  # a refresh of an earlier test may still be running
while '"busy"' in report:
    time.sleep(0.1)
    output = io.StringIO()
    call_command("refresh_airtable_cache", "--full", "--force", "--json", stdout=output)
    report = output.getvalue()
assert '"published"' in report or '"unchanged"' in report, report
"""


@pytest.fixture
def healthy(shared: Site) -> Site:
    """The shared site, healthy, for a test that may change that."""
    shared.airtable.faults.clear()
    shared.airtable.latency = 0.0
    shared.rename_john("John Doe")
    shared.console.run(RECOVERY)
    return shared


@pytest.fixture
def breakable(healthy: Site) -> Iterator[Site]:
    """The same for a test that stops Valkey or Airtable."""
    yield healthy
    healthy.stop_valkey()
    healthy.stop_server()  # it would write its failed lookups to the new Valkey
    healthy.start_valkey()
    healthy.airtable.start()
    healthy.start_server()
