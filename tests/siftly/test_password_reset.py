"""The password reset by e-mail, and the address of the mail server."""

import re
from collections.abc import Iterator
from importlib import reload
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.urls import clear_url_caches
from environs import EnvError

import siftly.urls
from siftly.environment import parse_email

START = "/admin/password_reset/"


@pytest.fixture
def with_mail(settings: Any) -> Iterator[None]:
    settings.EMAIL_URL = {"host": "localhost"}
    settings.PUBLIC_URL = "https://siftly.example.com"
    reload(siftly.urls)
    clear_url_caches()
    yield
    settings.EMAIL_URL = None
    reload(siftly.urls)
    clear_url_caches()


@pytest.mark.django_db
def test_the_login_page_offers_a_reset_only_where_mail_is_set_up() -> None:
    assert START not in Client().get("/admin/login/").text
    assert Client().get(START, follow=True).status_code != 500


@pytest.mark.django_db
def test_a_link_in_the_mail_sets_a_new_password(with_mail: None) -> None:
    User.objects.create_superuser("ada", "ada@example.com", password="forgotten")
    client = Client()
    assert START in client.get("/admin/login/").text
    for address in ("ada@example.com", "nobody@example.com"):
        sent = client.post(START, {"email": address}, follow=True)
        assert sent.redirect_chain == [(f"{START}sent/", 302)]
    [message] = mail.outbox
    assert "Siftly" in message.subject
    [link] = re.findall(r"https://siftly.example.com(/admin/password_reset/\S+)", str(message.body))
    page = client.get(link, follow=True)
    password = "quite another password"
    form = {"new_password1": password, "new_password2": password}
    done = client.post(page.redirect_chain[-1][0], form, follow=True)
    assert done.redirect_chain[-1][0] == f"{START}done/"
    assert User.objects.get().check_password(password)
    assert "invalid" in client.get(link, follow=True).text


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "smtps://ada%40x.example:p%2Fw@mail.example?from=s@x.example",
            ("mail.example", 465, "ada@x.example", "p/w", True, False, "s@x.example"),
        ),
        (
            "smtp://mail.example:2525?from=s@x.example",
            ("mail.example", 2525, "", "", False, True, "s@x.example"),
        ),
        (
            "smtp://localhost:25/?from=s@x.example",
            ("localhost", 25, "", "", False, False, "s@x.example"),
        ),
    ],
)
def test_the_address_has_all_that_django_needs(url: str, expected: tuple[object, ...]) -> None:
    assert tuple((parse_email(url) or {}).values()) == expected


@pytest.mark.parametrize(
    "url",
    ["https://x.example", "smtps://x.example", "smtps://?from=a@b", "smtp://h?from=a@b&tls=no"],
)
def test_a_wrong_address_is_refused(url: str) -> None:
    with pytest.raises(EnvError):
        parse_email(url)
