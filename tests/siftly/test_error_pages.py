"""Pages of the admin while something is wrong: a plain sentence, the right status, no traceback."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends import db
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse

from tests.support.asgi_client import send

LOGIN = "/admin/login/"
PASSWORD = "a long test password"


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@contextmanager
def locked_database() -> Iterator[None]:
    """Another process writes for longer than SQLite waits."""
    connection.ensure_connection()
    connection.cursor().execute("PRAGMA busy_timeout = 50")
    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.rollback()


def only_warnings(caplog: pytest.LogCaptureFixture) -> bool:
    """Sentry gets an event for each error."""
    lines = [each for each in caplog.records if each.levelno >= logging.WARNING]
    return all(each.levelname == "WARNING" and not each.exc_info for each in lines)


@pytest.mark.slow
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="the test locks SQLite's file")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("password", [PASSWORD, "another one"])
def test_a_login_while_the_database_is_locked_is_503(
    client: Client, caplog: pytest.LogCaptureFixture, password: str
) -> None:
    User.objects.create_superuser("anna", password=PASSWORD)
    form = {"username": "anna", "password": password}
    with locked_database():
        response = client.post(LOGIN, form)
    assert response.status_code == 503
    assert response["Retry-After"] == "10"
    assert "The database is busy" in response.text
    assert "Traceback" not in response.text
    assert only_warnings(caplog)
    assert "A page needed the database, which failed: database" in caplog.text
    assert client.post(LOGIN, {**form, "password": PASSWORD}).status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["load", "save"])
def test_a_session_that_the_database_can_not_read_or_write_is_503_and_a_warning(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: Any, method: str
) -> None:
    """Django saves a session outside of views."""
    User.objects.create_superuser("anna", password=PASSWORD)
    form = {"username": "anna", "password": PASSWORD}
    assert client.post(LOGIN, form).status_code == 302

    def locked(*_: Any, **__: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(db.SessionStore, method, locked)
    response = client.post(LOGIN, form)
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert only_warnings(caplog)
    assert "Service Unavailable: /admin/login/" in caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize(
    "key", ['"\\000bcdefghijklmnopqrstuvwxyz012345"', "x" * 5000, "../../x", ""]
)
@pytest.mark.parametrize("page", ["/", "/admin/", LOGIN, "/admin/cache/"])
def test_a_cookie_that_is_no_session_is_ignored(
    client: Client, caplog: pytest.LogCaptureFixture, page: str, key: str
) -> None:
    response = client.get(page, headers={"Cookie": f"sessionid={key}"})
    assert response.status_code in (200, 302)
    assert only_warnings(caplog)


def test_an_error_in_the_code_stays_an_error(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("django.request")
    logger.error("Internal Server Error: %s", "/", exc_info=ValueError("a mistake"))
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert record.exc_info


@pytest.mark.django_db
def test_a_login_with_a_foreign_next_ends_on_the_status_page(client: Client) -> None:
    User.objects.create_superuser("anna", password=PASSWORD)
    form = {"username": "anna", "password": PASSWORD, "next": "https://evil.example/"}
    response = client.post(f"{LOGIN}?next=https://evil.example/", form)
    assert response["Location"] == reverse("cache:status")


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["run", "roll_back"])
def test_a_run_whose_number_fits_into_no_database_is_not_found(
    admin_client: Client, page: str
) -> None:
    address = reverse(f"cache:{page}", args=[1]).replace("1", "9" * 30)
    assert admin_client.get(address).status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["9" * 30, "-1" + "0" * 40, "1e999", "x", "\x00"])
def test_djangos_own_pages_refuse_values_that_fit_into_no_database(
    admin_client: Client, caplog: pytest.LogCaptureFixture, value: str
) -> None:
    for name in ("run", "override"):
        for parameter in ("id", "id__gt", "started_at__gte", "p", "o"):
            address = reverse(f"admin:airtable_sync_{name}_changelist")
            response = admin_client.get(address, {parameter: value})
            assert response.status_code in (200, 302, 400), (name, parameter)
            assert "Traceback" not in response.text
    assert not [each for each in caplog.records if each.levelname == "ERROR"]


def test_a_foreign_host_is_400_without_an_error_in_the_log(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALLOWED_HOSTS = ["siftly.example"]
    response = send(LOGIN, headers={"Host": "evil.example"}, method="GET")
    assert response.status == 400
    assert response.json() == {"error": "The Host header is not one of ALLOWED_HOSTS."}
    assert not caplog.records
