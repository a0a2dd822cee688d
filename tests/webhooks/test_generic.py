"""`generic`: a request that anything can send."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.asgi_client import Response, send
from tests.support.cast import JOHN, NUMBER
from tests.support.platforms import OWN, UNKNOWN, cache_them, known
from tests.support.services import platforms
from webhooks.platforms.base import Call

PATH = "/webhooks/generic/"


@pytest.fixture(autouse=True)
def cached(fake_redis: str, settings: Any) -> None:
    cache_them(settings)
    settings.GENERIC_WEBHOOK_SECRET = ["secret", "another"]


def ask(query: str = "", body: bytes = b"", method: str = "POST") -> Response:
    headers = {"Authorization": "Bearer secret"}
    return send(PATH, body, headers, method, query.encode())


@pytest.mark.parametrize("name", ["to", "to_number", "called_number", "dialed_number", "To"])
@pytest.mark.parametrize("how", ["query", "json", "form"])
def test_the_number_may_be_in_the_query_in_json_or_in_a_form(name: str, how: str) -> None:
    fields = {name: NUMBER, "from": "+32470000001"}
    answers = {
        "query": lambda: ask(urlencode(fields), method="GET"),
        "json": lambda: ask(body=json.dumps(fields).encode()),
        "form": lambda: ask(body=urlencode(fields).encode()),
    }
    response = answers[how]()
    assert response.status == 200
    expected = {"to_number": NUMBER, "known": True, "variables": JOHN, "settings": {}}
    assert response.json() == expected


def test_flat_answers_are_the_variables_alone() -> None:
    assert ask(f"flat=1&{urlencode({'to': NUMBER})}", method="GET").json() == JOHN
    assert ask("flat=1", json.dumps({"to": NUMBER}).encode()).json() == JOHN


def test_the_settings_and_an_unknown_number() -> None:
    own = ask(urlencode({"to": OWN})).json()
    assert own["settings"]["agent_id"] == "agent_7"
    assert ask(urlencode({"to": UNKNOWN})).json()["known"] is False


def test_reject_and_greeting_are_at_the_top() -> None:
    answer = known(JOHN, reject="true", first_message="Hello!")
    content = json.loads(platforms()["generic"].response(Call(NUMBER), answer).body)
    assert (content["reject"], content["greeting"]) == (True, "Hello!")


@pytest.mark.parametrize(
    ("query", "body", "message"),
    [
        ("", b"", "The called number is missing: send it as to."),
        ("", b'{"to": 5}', "to must be a string."),
        ("", b'{"to": null}', "to must be a string."),
        ("", b"[]", "The body is not a JSON object."),
        ("", b"nonsense", "The body is not JSON."),
        pytest.param("", b"a=1&" * 501, "There are more than 500 fields.", id="long form"),
        pytest.param("a=1&" * 501, b"", "There are more than 500 fields.", id="long query"),
        ("from=%2B32470000001", b"", "The called number is missing: send it as to."),
    ],
)
def test_a_malformed_request_is_400(query: str, body: bytes, message: str) -> None:
    response = ask(query, body)
    assert (response.status, response.json()) == (400, {"error": message})


@pytest.mark.parametrize("header", ["", "secret", "Bearer wrong", "Basic secret"])
def test_without_the_secret_it_is_401(header: str) -> None:
    response = send(PATH, b"", {"Authorization": header}, "GET", b"to=x")
    assert response.status == 401
