"""Security headers and logins in production, behind a proxy that ends TLS."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests
from django.contrib.auth.hashers import ScryptPasswordHasher

from tests.support.databases import new_database
from tests.support.servers.server import Server, manage, serving

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser-security")]

HTTPS = {"X-Forwarded-Proto": "https", "Host": "siftly.example.com"}
PASSWORD = "right-and-long-enough"
LIMIT = 10
NEW_USER = """
    INSERT INTO auth_user (username, password, is_superuser, is_staff, is_active,
                           first_name, last_name, email, date_joined)
    VALUES (?, ?, 1, 1, 1, '', '', '', CURRENT_TIMESTAMP)
"""


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    variables = {
        **new_database(tmp_path_factory.mktemp("database")),
        "PUBLIC_URL": "https://siftly.example.com",
        "REDIS_URL": "redis://127.0.0.1:1",  # down: logins must work without Redis
    }
    # Checked in a tenth of the time that the default takes. A successful login replaces it.
    password = ScryptPasswordHasher().encode(PASSWORD, "salt")
    with closing(sqlite3.connect(_database(variables))) as database, database:
        for name in ("alice", "bob"):
            database.execute(NEW_USER, (name, password))
    return variables


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, variables: dict[str, str]) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), variables, processes=1) as running:
        yield running


class Browser:
    """Sends what the proxy passes on from a browser."""

    def __init__(self, server: Server) -> None:
        self.url = f"{server.url}/admin/login/"
        self.cookies: dict[str, str] = {}

    def log_in(self, name: str, password: str, **headers: str) -> requests.Response:
        page = requests.get(self.url, headers=HTTPS, timeout=10)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert token
        form = {"username": name, "password": password, "csrfmiddlewaretoken": token[1]}
        cookies = {"Cookie": f"csrftoken={page.cookies['csrftoken']}"}
        origin = {"Origin": "https://siftly.example.com"}
        return requests.post(
            self.url,
            data={**form, "next": "/admin/"},
            headers={**HTTPS, **cookies, **origin, **headers},
            timeout=10,
            allow_redirects=False,
        )


def test_plain_http_is_redirected_to_https(server: Server) -> None:
    headers = {"Host": "siftly.example.com"}
    for path in ("/", "/admin/"):
        response = requests.get(
            server.url + path, headers=headers, timeout=10, allow_redirects=False
        )
        assert response.status_code == 301
        assert response.headers["Location"] == f"https://siftly.example.com{path}"


@pytest.mark.parametrize(
    "path",
    [
        "/webhooks/retell",
        "/webhooks/nobody/",
        "/webhooks/a/b/c",
        "/airtable/changes",
        "/airtable/else",
        "/metrics",
    ],
)
def test_webhooks_and_metrics_are_never_redirected(server: Server, path: str) -> None:
    for host in ("siftly.example.com", "another.example.com"):
        response = requests.post(
            server.url + path, headers={"Host": host}, timeout=10, allow_redirects=False
        )
        assert 400 <= response.status_code < 500


def test_health_checks_work_without_https(server: Server) -> None:
    for path in ("/healthz", "/readyz"):
        response = requests.get(server.url + path, timeout=10, allow_redirects=False)
        assert response.status_code == 200


def test_a_page_has_security_headers(server: Server) -> None:
    page = requests.get(f"{server.url}/admin/login/", headers=HTTPS, timeout=10)
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["X-Frame-Options"] == "DENY"


def test_cookies_are_only_for_https_and_the_same_site(server: Server) -> None:
    done = Browser(server).log_in("alice", PASSWORD)
    assert (done.status_code, done.headers["Location"]) == (302, "/admin/")
    cookies = re.findall(r"(?:csrftoken|sessionid)=.*?SameSite=Lax; Secure", _cookies(done))
    assert len(cookies) == 2
    assert all("HttpOnly" in cookie for cookie in cookies)


def _cookies(response: requests.Response) -> str:
    return str(response.headers["Set-Cookie"])


def test_a_form_from_another_site_is_rejected(server: Server) -> None:
    done = Browser(server).log_in("alice", PASSWORD, Origin="https://evil.example.com")
    assert done.status_code == 403


def test_ten_wrong_passwords_lock_only_that_user_name(
    server: Server, variables: dict[str, str]
) -> None:
    browser = Browser(server)
    # Each request claims another client address.
    wrong = [
        browser.log_in("bob", f"wrong-{i}", **{"X-Forwarded-For": f"192.0.2.{i}"})
        for i in range(LIMIT)
    ]
    assert [each.status_code for each in wrong[:-1]] == [200] * (LIMIT - 1)
    locked = browser.log_in("bob", PASSWORD)
    assert locked.status_code == 429
    assert "Try again in a quarter of an hour" in locked.text
    assert browser.log_in("alice", PASSWORD).status_code == 302
    log = server.log.read_text()
    assert not [each for each in (PASSWORD, "wrong-") if each in log]
    stored = b"".join(file.read_bytes() for file in _database(variables).parent.iterdir())
    assert b"axes_accessattempt" in stored
    assert not [each for each in (PASSWORD, "wrong-") if each.encode() in stored]
    assert manage("axes_reset_username", "bob", **variables).returncode == 0
    assert browser.log_in("bob", PASSWORD).status_code == 302


def _database(variables: dict[str, str]) -> Path:
    return Path(variables["DATABASE_URL"].removeprefix("sqlite:///"))
