"""Pages of the admin while something is wrong: a plain sentence, the right status, no traceback."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
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


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="the test locks SQLite's file")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("password", [PASSWORD, "another one"])
def test_a_login_while_the_database_is_locked_is_503(client: Client, password: str) -> None:
    User.objects.create_superuser("anna", password=PASSWORD)
    form = {"username": "anna", "password": password}
    with locked_database():
        response = client.post(LOGIN, form)
    assert response.status_code == 503
    assert response["Retry-After"] == "10"
    assert "The database is busy" in response.text
    assert "Traceback" not in response.text
    assert client.post(LOGIN, {**form, "password": PASSWORD}).status_code == 302


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


def test_a_foreign_host_is_400_without_an_error_in_the_log(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALLOWED_HOSTS = ["siftly.example"]
    response = send(LOGIN, headers={"Host": "evil.example"}, method="GET")
    assert response.status == 400
    assert response.json() == {"error": "The Host header is not one of ALLOWED_HOSTS."}
    assert not caplog.records
