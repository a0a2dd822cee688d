"""What an operator meets around the status pages: groups, refusals, an expired session, the lists
of Django's admin, and the page at /."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from airtable_sync.models import Override, Run
from airtable_sync.status.groups import OPERATOR, VIEWER
from sandbox.airtable.server import Sandbox
from tests.support.cast import NUMBER
from tests.support.commands import refresh

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_redis")]

PAGE = "/admin/cache/"
ONE = f"{PAGE}number/?q=0460234291"


def client_in(*groups: str, **fields: Any) -> Client:
    user = User.objects.create_user("ben", is_staff=True, **fields)
    user.groups.set(Group.objects.filter(name__in=groups))
    client = Client()
    client.force_login(user)
    return client


def test_after_migrate_two_groups_exist_and_keep_what_an_administrator_changes() -> None:
    viewer, operator = (Group.objects.get(name=name) for name in (VIEWER, OPERATOR))
    may_view = {"view_run", "view_snapshot", "view_override"}
    assert set(viewer.permissions.values_list("codename", flat=True)) == may_view
    actions = set(operator.permissions.values_list("codename", flat=True)) - may_view
    expected = {"refresh", "roll_back", "reread", "drop", "override", "change_mapping"}
    assert actions == {f"can_{each}" for each in expected}
    operator.permissions.remove(Permission.objects.get(codename="can_drop"))
    call_command("migrate", verbosity=0)
    assert not operator.permissions.filter(codename="can_drop").exists()
    assert Group.objects.count() == 2


def test_internal_tables_are_not_in_the_admin_nor_among_its_permissions() -> None:
    client = client_in(is_superuser=True)
    index = client.get("/admin/").text
    offered = client.get("/admin/auth/group/add/").text
    for internal in (
        "| lease",
        "incident",
        "change feed",
        "access attempt",
        "session",
        "log entry",
    ):
        assert internal not in index.lower()
        assert internal not in offered.lower()
    assert "Can start a refresh" in offered
    assert "Can add user" in offered
    own = Permission.objects.filter(content_type__app_label="airtable_sync")
    assert not own.filter(
        codename__regex="^(add|change|delete)_|^view_(?!run|snapshot|override)"
    ).exists()


def test_a_refusal_names_the_permission_and_who_grants_it() -> None:
    User.objects.create_superuser("ada")
    client = client_in(VIEWER)
    response = client.post(f"{PAGE}refresh/")
    assert response.status_code == 403
    assert "Your account lacks the permission “Can start a refresh”." in response.text
    assert "An administrator (ada) can add you to a group" in response.text
    assert "Log out" in response.text
    other = client.get("/admin/auth/user/")
    assert other.status_code == 403
    assert "Your account may not see or do this." in other.text


def test_missing_pages_and_old_forms_are_answered_in_the_frame() -> None:
    client = client_in(VIEWER)
    missing = client.get(f"{PAGE}runs/999/")
    assert missing.status_code == 404
    assert "There is no page at this address." in missing.text
    assert "Log out" in missing.text
    stranger = Client().get("/wp-login.php")
    assert (stranger.status_code, "Log out" in stranger.text) == (404, False)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="ben"))
    old = strict.post(f"{PAGE}refresh/")
    assert old.status_code == 403
    assert "so nothing was changed" in old.text


@pytest.mark.parametrize("page", [PAGE, ONE])
def test_a_button_after_the_session_has_ended_leads_back_to_its_page(
    airtable: Sandbox, page: str
) -> None:
    User.objects.create_superuser("ada", password="a long test password")
    client = Client()
    for path in ("refresh/", "release/", "number/reread/", "number/override/"):
        client.logout()
        to_login = client.post(
            PAGE + path, {"q": NUMBER}, headers={"Referer": f"http://testserver{page}"}
        )
        login = to_login["Location"]
        assert login.startswith("/admin/login/?next=")
        form = {"username": "ada", "password": "a long test password"}
        found = client.post(login, form, follow=True)
        assert found.redirect_chain[-1] == (page, 302)
        assert "Your session had ended, so nothing was changed." in found.text
    assert Run.objects.count() == 0


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/metrics", ""])
def test_the_login_leads_back_to_pages_of_the_admin_only(back: str) -> None:
    found = client_in(VIEWER).get(f"{PAGE}not-done/", {"back": back})
    assert found["Location"] == PAGE


def test_the_lists_lead_to_the_status_pages(airtable: Sandbox) -> None:
    refresh()
    run = Run.objects.get()
    Override.objects.create(
        number=NUMBER, reason="why", ends_at=timezone.now(), created_at=timezone.now()
    )
    client = client_in(VIEWER)
    for model, row, page in (
        ("run", run.pk, f"{PAGE}runs/{run.pk}/"),
        ("snapshot", run.snapshot.pk, f"{PAGE}runs/{run.pk}/"),
        ("override", Override.objects.get().pk, f"{PAGE}number/?q=%2B32460234291"),
    ):
        rows = client.get(f"/admin/airtable_sync/{model}/")
        links = re.findall(r'<a href="([^"]+)"', rows.text.partition("<tbody>")[2])
        assert links[:1] == [page]
        assert not [each for each in links if each.endswith("/change/")]
        assert "Refused" not in rows.text  # everywhere else it is "rejected"
        assert client.get(f"/admin/airtable_sync/{model}/{row}/change/")["Location"] == page
    assert client.get("/admin/airtable_sync/run/999/change/").status_code == 404


def test_the_first_page_is_the_status_page_or_says_what_this_is() -> None:
    assert client_in(VIEWER).get("/")["Location"] == PAGE
    stranger = Client().get("/")
    assert stranger.status_code == 200
    assert "It answers the webhooks of voice platforms" in stranger.text
    assert f'href="/admin/login/?next={PAGE}"' in stranger.text
    User.objects.filter(username="ben").update(is_staff=False)
    client = Client()
    client.force_login(User.objects.get())
    assert "Log in as an operator" not in client.get("/").text
