"""The webhook's contract, with Retell's calls: requests and their responses."""

import asyncio
import json
import logging
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airtable_sync.cache.entry import Entry
from airtable_sync.lookup.answer import Answer
from tests.support.asgi_client import Response, asend, send
from tests.support.sdks import sdk_module
from tests.support.services import services

NUMBER = "+32460234291"
JOHN = {"customer_name": "John Doe", "nl-be_agent_name": "Tom"}
PATH = "/webhooks/retell/"
webhook_auth = sdk_module("retell", "lib/webhook_auth.py")


def call(body: Any, path: str = PATH, key: str = "key_tests", **headers: str) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return send(path, raw, {"X-Retell-Signature": sign(raw, key), **headers})


def sign(raw: bytes, key: str = "key_tests") -> str:
    text = raw.decode("utf-8", "surrogateescape")
    return (
        str(webhook_auth.symmetric["sign"](text, key)) if _is_utf8(raw) else _sign_bytes(raw, key)
    )


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _sign_bytes(raw: bytes, key: str) -> str:
    from webhooks.platforms.retell import _digest

    now = int(time.time() * 1000)
    return f"v={now},d={_digest(raw, now, key)}"


def inbound(to_number: Any = NUMBER, event: str = "call_inbound", **more: Any) -> dict[str, Any]:
    return {"event": event, event: {"to_number": to_number, "from_number": "anonymous"}, **more}


@pytest.fixture(autouse=True)
def cached(fake_redis: str) -> None:
    now = int(time.time() * 1000)
    john = Entry(NUMBER, JOHN, now, "refresh", settings={"agent_id": "agent_7"})
    services().call_store.write(
        [john, Entry("+32460234299", None, now, "lookup")], announce_unchanged=False
    )


class TestAnswers:
    def test_a_known_number_gets_its_variables(self) -> None:
        response = call(inbound(), **{"Content-Type": "application/json"})
        assert response.status == 200
        assert response.headers["x-siftly-source"] == "redis"
        assert "total;dur=" in response.headers["server-timing"]
        assert response.json() == {
            "call_inbound": {
                "dynamic_variables": JOHN,
                "metadata": {"source": "siftly", "to_number": NUMBER, "customer_known": True},
                "override_agent_id": "agent_7",
            }
        }

    @pytest.mark.parametrize(("setting", "deadline"), [(None, 9.0), (0.3, 0.3)])
    def test_the_deadline_is_the_settings_or_else_the_platforms(
        self,
        settings: Any,
        monkeypatch: pytest.MonkeyPatch,
        setting: float | None,
        deadline: float,
    ) -> None:
        settings.LOOKUP_DEADLINE_SECONDS = setting
        deadlines: list[float] = []
        answerer = services().answerer
        answer = answerer.answer

        async def recorded(number: str | None, deadline_seconds: float) -> Answer:
            deadlines.append(deadline_seconds)
            return await answer(number, deadline_seconds)

        monkeypatch.setattr(answerer, "answer", recorded)
        assert call(inbound()).status == 200
        assert deadlines == [deadline]

    @pytest.mark.parametrize(
        "written", ["0032460234291", "tel:+32460234291", "sip:+32460234291@x", "+32 460 23 42 91"]
    )
    def test_every_number_format_gives_the_same_number(self, written: str) -> None:
        metadata = call(inbound(written)).json()["call_inbound"]["metadata"]
        assert metadata == {"source": "siftly", "to_number": NUMBER, "customer_known": True}

    def test_an_unknown_number_gets_the_default_variables(self, settings: Any) -> None:
        settings.DEFAULT_VARIABLES = {"customer_name": "New Customer"}
        response = call(inbound("+32460234299"))
        assert response.status == 200
        assert response.headers["x-siftly-source"] == "default"
        expected = {"source": "siftly", "to_number": "+32460234299", "customer_known": False}
        assert response.json()["call_inbound"] == {
            "dynamic_variables": {"customer_name": "New Customer"},
            "metadata": expected,
        }

    @pytest.mark.parametrize("written", ["client:alice", "sip:alice@example.com", "", "\ud800"])
    def test_text_that_is_not_a_telephone_number_is_unknown(self, written: str) -> None:
        response = call(inbound(written))
        assert response.status == 200
        assert response.headers["x-siftly-source"] == "default"
        assert response.json()["call_inbound"]["metadata"]["customer_known"] is False

    def test_a_chat_is_answered_as_a_chat(self) -> None:
        answer = call(inbound(event="chat_inbound")).json()
        assert answer["chat_inbound"]["dynamic_variables"] == JOHN
        assert set(answer) == {"chat_inbound"}

    def test_an_event_that_is_not_a_call_is_acknowledged(self) -> None:
        response = call({"event": "call_ended", "call": {"call_id": "1"}})
        assert (response.status, response.body) == (204, b"")

    def test_unknown_members_and_a_withheld_caller_are_accepted(self) -> None:
        body = inbound(event_timestamp="?", later=[1])
        body["call_inbound"] |= {"from_number": None, "agent_version": "x", "call_id": 5}
        assert call(body).status == 200

    def test_the_final_slash_is_optional(self) -> None:
        assert call(inbound(), "/webhooks/retell").status == 200

    def test_a_body_in_pieces_is_joined(self) -> None:
        raw = json.dumps(inbound()).encode()
        signature = {"X-Retell-Signature": sign(raw)}
        assert send(PATH, [raw[:10], b"", raw[10:], b""], signature).status == 200


class TestRejections:
    @pytest.mark.parametrize("header", [None, "", "v=1,d=0", "nonsense"])
    def test_a_missing_or_wrong_signature_is_401(self, header: str | None) -> None:
        headers = {} if header is None else {"X-Retell-Signature": header}
        response = send(PATH, json.dumps(inbound()).encode(), headers)
        assert response.status == 401
        assert set(response.json()) == {"error"}

    def test_a_signature_of_another_body_is_401(self) -> None:
        signature = {"X-Retell-Signature": sign(b"{}")}
        assert send(PATH, json.dumps(inbound()).encode(), signature).status == 401

    @pytest.mark.parametrize("seconds", [-301, 301])
    def test_an_expired_or_future_signature_is_401(self, seconds: int) -> None:
        raw = json.dumps(inbound())
        signature = webhook_auth.symmetric["sign"](
            raw, "key_tests", int((time.time() + seconds) * 1000)
        )
        assert send(PATH, raw.encode(), {"X-Retell-Signature": signature}).status == 401

    @pytest.mark.usefixtures("without_garbage_collection")
    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"", "The body is not JSON."),
            (b'{"event": "call_inb', "The body is not JSON."),
            (b"\xff\xfe{}", "The body is not UTF-8."),
            ("{}".encode("utf-16"), "The body is not UTF-8."),
            (b"[" * 60_000, "The body is nested too deeply."),
            (b'{"a":' * 12_000, "The body is nested too deeply."),
            (b"9" * 5000, "The body is not JSON."),
            (b"[]", "The body is not a JSON object."),
            (b"null", "The body is not a JSON object."),
            ({}, "event is missing."),
            ({"event": 5}, "event must be a string."),
            ({"event": "call_inbound"}, "call_inbound is missing."),
            ({"event": "call_inbound", "call_inbound": []}, "call_inbound must be an object."),
            (
                {"event": "call_inbound", "call_inbound": {}},
                "call_inbound.to_number is missing.",
            ),
            (inbound(5), "call_inbound.to_number must be a string."),
            (inbound(None), "call_inbound.to_number must be a string."),
            (inbound(["+32460234291"]), "call_inbound.to_number must be a string."),
            (inbound(True, "chat_inbound"), "chat_inbound.to_number must be a string."),
        ],
    )
    def test_a_malformed_body_is_400_with_a_message(self, body: Any, message: str) -> None:
        response = call(body)
        assert response.status == 400
        assert response.json() == {"error": message}

    def test_a_body_over_64_kib_is_413(self) -> None:
        largest = json.dumps(inbound(pad="x" * 65_000)).encode()
        padded = largest + b" " * (65_536 - len(largest))
        assert call(padded).status == 200
        assert call(padded + b" ").status == 413
        assert send(PATH, [b"x" * 40_000] * 3).status == 413

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def test_another_method_is_405(self, method: str) -> None:
        response = send(PATH, method=method)
        assert response.status == 405
        assert response.headers["allow"] == "POST"

    def test_an_unknown_platform_is_404(self) -> None:
        assert call(inbound(), "/webhooks/nobody/").status == 404

    def test_a_platform_without_a_secret_is_404(self, settings: Any) -> None:
        settings.RETELL_API_KEY = []
        assert call(inbound()).status == 404

    def test_an_address_that_is_not_utf8_is_400(self) -> None:
        assert send(PATH, query=b"\xff").status == 400


class TestLogs:
    def test_a_hit_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        call(inbound())
        assert "Redis cache hit for +32460234291" in caplog.messages

    def test_a_cached_unknown_number_is_logged_as_unknown(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        call(inbound("+32460234299"))
        assert "Unknown number +32460234299" in caplog.messages
        assert not [line for line in caplog.messages if "cache hit" in line]

    def test_the_callers_number_is_never_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        body = inbound()
        body["call_inbound"]["from_number"] = "+32470000001"
        call(body)
        assert "470000001" not in caplog.text


class TestNoServerErrors:
    @given(st.binary(max_size=300))
    def test_any_signed_bytes(self, raw: bytes) -> None:
        assert call(raw).status in (200, 204, 400)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["event", "call_inbound", "chat_inbound", "to_number", "x"]),
                    inner,
                )
            ),
        ),
        st.sampled_from(["call_inbound", "chat_inbound", "other"]),
    )
    def test_any_signed_json(self, value: Any, event: str) -> None:
        assert call({"event": event, event: value}).status in (200, 204, 400)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([b"x-retell-signature", b"content-type", b"content-length", b"x"]),
                st.binary(max_size=80),
            ),
            max_size=4,
        ),
        st.binary(max_size=40),
    )
    def test_any_header_and_query(self, headers: list[Any], query: bytes) -> None:
        raw = json.dumps(inbound()).encode()
        status = asyncio.run(asend(PATH, raw, headers, query=query)).status
        assert status in (400, 401, 413)
