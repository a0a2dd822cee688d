"""Tests for the adapter of every registered platform."""

import asyncio
import hmac
import logging
import re
import time
from typing import Any

import pytest

from airtable_sync.cache.entry import Entry
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.conftest import use_redis
from tests.support.asgi_client import send
from tests.support.cast import JOHN, NUMBER
from tests.support.platforms import (
    UNKNOWN,
    call,
    call_with,
    headers_for,
    path_of,
    secret_of,
    set_up,
)
from tests.support.services import platforms, services
from webhooks.platforms.authentication import is_one_of
from webhooks.platforms.base import Platform

# A replayed request gets the same answer again: docs/understanding/threats.md.
WITHOUT_TIMESTAMP = {"elevenlabs", "twilio", "plivo", "signalwire", "synthflow", "generic"}


@pytest.fixture(params=list(platforms()))
def platform(request: pytest.FixtureRequest, settings: Any) -> Platform:
    set_up(platforms()[request.param], settings)
    return platforms()[request.param]


@pytest.fixture
def cached(fake_redis: str) -> None:
    now = int(time.time() * 1000)
    entries = [Entry(NUMBER, JOHN, now, "refresh"), Entry(UNKNOWN, None, now, "lookup")]
    services().call_store.write(entries, announce_unchanged=False)


@pytest.mark.usefixtures("cached")
class TestAuthentic:
    def test_a_known_number_gets_its_variables(self, platform: Platform, settings: Any) -> None:
        response = call(platform, NUMBER, settings)
        assert response.status == 200
        assert response.headers["x-siftly-source"] == "redis"
        assert "total;dur=" in response.headers["server-timing"]
        assert all(text in response.text for pair in JOHN.items() for text in pair)

    def test_an_unknown_number_gets_the_defaults(self, platform: Platform, settings: Any) -> None:
        settings.DEFAULT_VARIABLES = {"customer_name": "New Customer"}
        response = call(platform, UNKNOWN, settings)
        assert response.status == 200
        assert response.headers["x-siftly-source"] == "default"
        assert "New Customer" in response.text

    def test_text_that_is_not_a_telephone_number_gets_the_defaults(
        self, platform: Platform, settings: Any
    ) -> None:
        for written in ("client:alice", "sip:alice@example.com", "anonymous", ""):
            response = call(platform, written, settings)
            found = response.status, response.headers["x-siftly-source"]
            assert found == (200, "default"), written

    def test_the_final_slash_is_optional_and_a_body_in_pieces_is_joined(
        self, platform: Platform, settings: Any
    ) -> None:
        path = path_of(platform).rstrip("/")
        body = platform.sample_body(NUMBER)
        signed = platform.sign(body, secret_of(platform, settings), f"http://testserver{path}")
        assert send(path, [body[:9], b"", body[9:]], signed).status == 200

    def test_each_of_several_secrets_is_accepted(self, platform: Platform, settings: Any) -> None:
        body = platform.sample_body(NUMBER)
        headers = headers_for(platform, body, settings)
        ours = getattr(settings, platform.secrets_setting)
        other = [platform.sandbox_variables()[platform.secrets_setting]]
        for accepted, status in ((other + ours, 200), (ours + other, 200), (other, 401)):
            setattr(settings, platform.secrets_setting, accepted)
            assert send(path_of(platform), body, headers).status == status

    def test_the_callers_number_is_not_logged(
        self, platform: Platform, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        body = platform.sample_body(NUMBER).replace(b"anonymous", b"00470000001")
        assert call_with(platform, body, settings).status == 200
        assert "470000001" not in caplog.text

    def test_reserved_names_are_left_out_and_logged_once_with_their_record(
        self, platform: Platform, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        names = ["system__time", "customer", "telnyx_end_user_target", "nl-be_agent_name"]
        taken = [each for each in names if platform.reserved and platform.reserved.match(each)]
        number = "+32460234280"
        config = {name: f"value of {name}!" for name in names}
        record = f"dynamic_variables/rec{platform.name}"
        entry = Entry(number, config, int(time.time() * 1000), "refresh", records=(record,))
        services().call_store.write([entry], announce_unchanged=False)
        for _ in range(2):
            text = call(platform, number, settings).text
        assert [name for name in names if f"value of {name}!" in text] == [
            name for name in names if name not in taken
        ]
        warnings = [line for line in caplog.messages if record in line]
        assert len(warnings) == bool(taken)
        assert all(name in line for line in warnings for name in taken)


@pytest.mark.usefixtures("cached")
class TestRejected:
    def test_a_call_without_a_signature_is_401(self, platform: Platform) -> None:
        headers = {"Content-Type": platform.content_type}
        response = send(path_of(platform), platform.sample_body(NUMBER), headers)
        assert response.status == 401
        assert set(response.json()) == {"error"}

    def test_a_signature_with_another_secret_is_401(
        self, platform: Platform, settings: Any
    ) -> None:
        body, address = platform.sample_body(NUMBER), f"http://testserver{path_of(platform)}"
        other = platform.sandbox_variables()[platform.signing_setting]
        forged = platform.sign(body, other, address)
        assert send(path_of(platform), body, forged).status == 401

    def test_a_missing_or_changed_signature_header_is_401(
        self, platform: Platform, settings: Any
    ) -> None:
        body = platform.sample_body(NUMBER)
        proof = platform.sign(
            body, secret_of(platform, settings), f"http://testserver{path_of(platform)}"
        )
        for name, value in proof.items():
            without = {key: each for key, each in proof.items() if key != name}
            assert send(path_of(platform), body, without).status == 401
            for wrong in ("", "x", "\x7f", "é", value[:-3], f"{value}\u00e9", "9" * 5000):
                changed = [
                    (k.encode(), v.encode("latin-1")) for k, v in (without | {name: wrong}).items()
                ]
                assert send(path_of(platform), body, changed).status == 401

    @pytest.mark.parametrize("seconds", [-3600, 3600])
    def test_an_expired_or_future_signature_is_401(
        self, platform: Platform, settings: Any, seconds: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        body, now = platform.sample_body(NUMBER), time.time()
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: now + seconds)
            headers = headers_for(platform, body, settings)
        status = send(path_of(platform), body, headers).status
        assert status == (200 if platform.name in WITHOUT_TIMESTAMP else 401)

    def test_a_platform_without_a_secret_is_404(self, platform: Platform, settings: Any) -> None:
        headers = headers_for(platform, platform.sample_body(NUMBER), settings)
        setattr(settings, platform.secrets_setting, [])
        assert send(path_of(platform), platform.sample_body(NUMBER), headers).status == 404

    def test_another_method_is_405(self, platform: Platform) -> None:
        for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
            response = send(path_of(platform), method=method)
            allowed = method in platform.methods
            assert response.status == (401 if allowed else 405), method
            assert allowed or response.headers["allow"] == ", ".join(platform.methods)

    @pytest.mark.usefixtures("without_garbage_collection")
    def test_a_malformed_body_is_400_with_a_message(
        self, platform: Platform, settings: Any
    ) -> None:
        for body in (b"", b"{", b"\xff\xfe", b"[]", b"null", b"{}", b"[" * 60_000, b"9" * 5000):
            headers = {**headers_for(platform, body, settings)}
            response = send(path_of(platform), body, headers)
            assert response.status == 400, body[:20]
            assert response.json()["error"].endswith("."), body[:20]

    def test_a_number_that_json_does_not_have_is_400(
        self, platform: Platform, settings: Any
    ) -> None:
        if platform.content_type != "application/json":
            return  # a form has no numbers
        body, refused = platform.sample_body(NUMBER), (400, {"error": "The body is not JSON."})
        for number in (b"NaN", b"Infinity", b"-Infinity", b"-1e999"):
            changed = body[:-1] + b', "x": [%s]}' % number
            for each in (changed, b" " + changed):  # white space takes another path
                response = call_with(platform, each, settings)
                assert (response.status, response.json()) == refused, number

    def test_a_called_number_that_is_missing_or_not_text_is_400(
        self, platform: Platform, settings: Any
    ) -> None:
        for written in (b"5", b"null", b"true", b"[]", b'{"a": 1}', None):
            response = call_with(platform, _with_called_number(platform, written), settings)
            assert response.status == 400, written
            assert response.json()["error"].endswith("."), written

    def test_a_body_over_64_kib_is_413(self, platform: Platform, settings: Any) -> None:
        body = platform.sample_body(NUMBER) + b" " * 65_536
        assert send(path_of(platform), body, headers_for(platform, body, settings)).status == 413


def _with_called_number(platform: Platform, written: bytes | None) -> bytes:
    """A call with this JSON instead of its called number. None: without the called number."""
    body = platform.sample_body(NUMBER)
    if platform.content_type != "application/json":  # fields of a form are always text: remove it
        return body.replace(b"%2B32460234291", b"").replace(b"To=", b"")
    found = re.findall(rb'"[^"]*%b[^"]*"' % re.escape(NUMBER.encode()), body)
    assert len(found) == 1
    value = found[0]
    if written is not None:
        return body.replace(value, written)
    name = body[: body.index(value)].rsplit(b'"', 2)[1]
    return body.replace(b'"' + name + b'"', b'"another_name"')


class TestOutages:
    def test_with_redis_and_airtable_down_a_call_gets_the_defaults(
        self, platform: Platform, settings: Any
    ) -> None:
        use_redis(settings, "redis://127.0.0.1:1")
        settings.AIRTABLE_API_URL, settings.AIRTABLE_API_KEY = "http://127.0.0.1:1", "pat"
        settings.AIRTABLE_BASE_ID = "app1"
        settings.DEFAULT_VARIABLES = {"customer_name": "New Customer"}
        response = call(platform, NUMBER, settings)
        assert (response.status, response.headers["x-siftly-source"]) == (200, "default")
        assert "New Customer" in response.text

    def test_a_call_is_answered_within_the_platforms_deadline(
        self,
        platform: Platform,
        settings: Any,
        fake_redis: str,
        airtable: Sandbox,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        airtable.faults.add(Fault(delay=60.0, times=None))
        monkeypatch.setattr(type(platform), "deadline_seconds", 0.2)
        started = time.monotonic()
        response = call(platform, NUMBER, settings)
        assert (response.status, response.headers["x-siftly-source"]) == (200, "default")
        assert 0.1 < time.monotonic() - started < 20

    def test_each_deadline_is_shorter_than_the_platforms_documented_limit(self) -> None:
        theirs = {"retell": 10, "vapi": 7.5, "twilio": 15, "telnyx": 1.5, "standard": 2}
        theirs |= {"fishaudio": 5, "generic": 0.8}  # AssemblyAI's, of those that use it
        for name, seconds in theirs.items():
            assert 0.5 * seconds < platforms()[name].deadline_seconds < 0.95 * seconds


def test_simultaneous_calls_of_all_platforms_get_their_own_answers(
    cached: None, settings: Any
) -> None:
    from tests.support.asgi_client import asend

    async def all_at_once() -> list[Any]:
        calls = []
        for platform in platforms().values():
            body = platform.sample_body(NUMBER)
            calls.append(asend(path_of(platform), body, headers_for(platform, body, settings)))
        return await asyncio.gather(*calls)

    for platform in platforms().values():
        set_up(platform, settings)
    answers = asyncio.run(all_at_once())
    assert {answer.status for answer in answers} == {200}
    # Telnyx and Fish Audio use the same envelope.
    assert len({answer.body for answer in answers}) == len(platforms()) - 1


def test_all_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(given: bytes, expected: bytes) -> bool:
        compared.append(expected)
        return given == expected

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert is_one_of("a", ["a", "b", "c"])
    assert compared == [b"a", b"b", b"c"]
