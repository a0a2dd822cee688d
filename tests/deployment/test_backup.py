"""A backup, as docs/operations.md tells it, restores all that Siftly keeps in its database, into
another one whose own rows have other numbers."""

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
from tests.support.postgres import Postgres
from tests.support.server import ROOT, manage

pytestmark = pytest.mark.slow

SECTION = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
BACKUP, RESTORE = re.findall(
    r"```sh\n(.*?)```", SECTION.partition("## Backup and restore")[2].partition("\n## ")[0], re.S
)
ALL_OF_OURS = ("airtable_sync", "auth.group", "auth.user")
PEOPLE = """
from django.contrib.auth.models import Group, Permission, User
from django.utils import timezone
from airtable_sync.models import ChangeFeed, Override, Incident
now = timezone.now()
operators = Group.objects.create(name="operators")
operators.permissions.set(Permission.objects.filter(codename__in=["can_refresh", "view_run"]))
alice = User.objects.create_user("alice", password="a long one, for this", is_staff=True)
alice.groups.add(operators)
alice.user_permissions.add(Permission.objects.get(codename="can_override"))
times = {"made_at": now, "ends_at": now}
Override.objects.create(number="+32460234291", reason="a trial", made_by="alice", **times)
ChangeFeed.objects.create(base="app1", hook="ach1", secret="c2VjcmV0", cursor=7)
Incident.objects.create(kind="quota", sentence="80 %", began_at=now, seen_at=now)
"""
# Permissions and kinds of content get other numbers than in the database that is backed up.
RENUMBER = """
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
Permission.objects.all().delete()
ContentType.objects.all().delete()
"""
AFTERWARDS = """
from django.contrib.auth.models import User
alice = User.objects.get(username="alice")
assert alice.check_password("a long one, for this")
assert alice.has_perm("airtable_sync.can_refresh") and alice.has_perm("airtable_sync.can_override")
assert not alice.has_perm("airtable_sync.can_drop")
User.objects.create_user("bob")
"""


@pytest.fixture
def variables(tmp_path: Path, airtable: Sandbox) -> dict[str, str]:
    return {**variables_of(airtable), "DATABASE_URL": f"sqlite:///{tmp_path / 'old.sqlite3'}"}


@pytest.fixture
def another(postgres: Postgres) -> str:
    """The address of an empty database."""
    with psycopg.connect(postgres.url, autocommit=True) as own:
        own.execute("DROP DATABASE IF EXISTS restored")
        own.execute("CREATE DATABASE restored")
    return postgres.url.rpartition("/")[0] + "/restored"


def done(*arguments: str, **variables: str) -> str:
    command = manage(*arguments, **variables)
    assert command.returncode == 0, command.stderr
    return command.stdout


def contents(variables: dict[str, str]) -> list[object]:
    dumped: list[object] = json.loads(
        done("dumpdata", "--natural-foreign", *ALL_OF_OURS, **variables)
    )
    return dumped


def run(block: str, file: Path, variables: dict[str, str]) -> None:
    here = block.replace(".venv/bin/python", sys.executable).replace(
        "siftly-backup.json", str(file)
    )
    shell(here, variables)


def test_a_backup_is_restored_into_another_database(
    tmp_path: Path, variables: dict[str, str], another: str
) -> None:
    done("migrate", **variables)
    done("refresh_airtable_cache", **variables)
    done("shell", "-c", PEOPLE, **variables)
    before = contents(variables)
    file = tmp_path / "backup.json"
    run(BACKUP, file, variables)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    elsewhere = {**variables, "DATABASE_URL": another}
    done("migrate", **elsewhere)
    done("shell", "-c", RENUMBER, **elsewhere)
    run(RESTORE, file, elsewhere)
    assert not file.exists()
    assert contents(elsewhere) == before
    done("shell", "-c", AFTERWARDS, **elsewhere)
    done("refresh_airtable_cache", **elsewhere)


def test_what_is_backed_up_is_all_that_our_models_and_logins_are() -> None:
    """Sessions, locked names and the admin's log of clicks are not worth taking along."""
    named = set(BACKUP.split("dumpdata")[1].split("--output")[0].split()) - {"--natural-foreign"}
    assert named == set(ALL_OF_OURS)
