"""The backup in docs/guides/backup.md contains all that Siftly keeps in its database. It can be
restored into another database whose permissions and content types have other ids."""

import json
import re
import stat
import sys
from pathlib import Path

import psycopg
import pytest

from sandbox.airtable.server import Sandbox
from tests.conftest import variables_of
from tests.docs.test_documents import shell
from tests.support.databases import new_database
from tests.support.servers.postgres import Postgres
from tests.support.servers.server import ROOT, manage

pytestmark = pytest.mark.slow

BACKUP, RESTORE = re.findall(
    r"```sh\n(.*?)```", (ROOT / "docs/guides/backup.md").read_text(encoding="utf-8"), re.S
)
BACKED_UP = ("airtable_sync", "auth.group", "auth.user")
ROWS = """
from django.contrib.auth.models import Group, Permission, User
from django.utils import timezone
from airtable_sync.models import ChangeFeed, Override, Incident
now = timezone.now()
operators = Group.objects.create(name="operators")
operators.permissions.set(Permission.objects.filter(codename__in=["can_refresh", "view_run"]))
alice = User.objects.create_user("alice", password="a long one, for this", is_staff=True)
alice.groups.add(operators)
alice.user_permissions.add(Permission.objects.get(codename="can_override"))
times = {"created_at": now, "ends_at": now}
Override.objects.create(number="+32460234291", reason="a trial", created_by="alice", **times)
ChangeFeed.objects.create(base="app1", webhook_id="ach1", mac_secret="c2VjcmV0", cursor=7)
Incident.objects.create(kind="quota", message="80 %", started_at=now, last_seen_at=now)
"""
# The new database creates its permissions and content types again, with other ids.
CHANGE_IDS = """
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
Permission.objects.all().delete()
ContentType.objects.all().delete()
"""
CHECK_ROWS = """
from django.contrib.auth.models import User
alice = User.objects.get(username="alice")
assert alice.check_password("a long one, for this")
assert alice.has_perm("airtable_sync.can_refresh") and alice.has_perm("airtable_sync.can_override")
assert not alice.has_perm("airtable_sync.can_drop")
User.objects.create_user("bob")
"""


@pytest.fixture
def variables(tmp_path: Path, airtable: Sandbox) -> dict[str, str]:
    return {**variables_of(airtable), **new_database(tmp_path)}


@pytest.fixture
def empty_database(postgres: Postgres) -> str:
    """The address of an empty database."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS restored")
        connection.execute("CREATE DATABASE restored")
    return postgres.url.rpartition("/")[0] + "/restored"


def run_command(*arguments: str, **variables: str) -> str:
    command = manage(*arguments, **variables)
    assert command.returncode == 0, command.stderr
    return command.stdout


def contents(variables: dict[str, str]) -> list[object]:
    dumped: list[object] = json.loads(
        run_command("dumpdata", "--natural-foreign", *BACKED_UP, **variables)
    )
    return dumped


def run_block(block: str, file: Path, variables: dict[str, str]) -> None:
    here = block.replace(".venv/bin/python", sys.executable).replace(
        "siftly-backup.json", str(file)
    )
    shell(here, variables)


def test_a_backup_is_restored_into_another_database(
    tmp_path: Path, variables: dict[str, str], empty_database: str
) -> None:
    run_command("refresh_airtable_cache", **variables)
    run_command("shell", "-c", ROWS, **variables)
    before = contents(variables)
    file = tmp_path / "backup.json"
    run_block(BACKUP, file, variables)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    elsewhere = {**variables, "DATABASE_URL": empty_database}
    run_command("migrate", **elsewhere)
    run_command("shell", "-c", CHANGE_IDS, **elsewhere)
    run_block(RESTORE, file, elsewhere)
    assert not file.exists()
    assert contents(elsewhere) == before
    run_command("shell", "-c", CHECK_ROWS, **elsewhere)
    run_command("refresh_airtable_cache", **elsewhere)


def test_the_backup_contains_our_models_and_logins() -> None:
    """It does not need sessions, locked user names and the admin's log of actions."""
    named = set(BACKUP.split("dumpdata")[1].split("--output")[0].split()) - {"--natural-foreign"}
    assert named == set(BACKED_UP)
