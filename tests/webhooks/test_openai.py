"""OpenAI's calls: what is read of the event, and the request that accepts or rejects the call."""

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from airtable_sync.cache.entry import Entry
from sandbox.openai import OpenAISandbox
from tests.conftest import use_redis
from tests.support import asgi_client
from tests.support.asgi_client import Response
from tests.support.cast import JOHN, NUMBER
from tests.support.platforms import UNKNOWN, call_with, headers_for, known, path_of, set_up
from tests.support.services import platforms, services, web_services
from webhooks.follow_ups import LEASE_MARGIN_SECONDS, FollowUps, Lease
from webhooks.platforms.base import Call, FollowUp, MalformedCall, NotACall
from webhooks.platforms.openai import OpenAI

REALTIME, LIVE = "realtime.call.incoming", "live.transport.incoming"
PROJECT = "<sip:proj_abc@sip.api.openai.com;transport=tls>"
DEFAULT_INSTRUCTIONS = """You answer a telephone call. What you know about this call:
- customer_name: John Doe
- preferred_language: Dutch
- account_type: premium
- nl-be_agent_name: Tom"""


def event(
    to: Any = f"<sip:{NUMBER}@sip.example.com>", call_id: str = "rtc_1", kind: str = REALTIME
) -> dict[str, Any]:
    headers = [{"name": "From", "value": "sip:+32470000001@x"}, {"name": "To", "value": to}]
    name = "call_id" if kind == REALTIME else "session_id"
    return {"type": kind, "data": {name: call_id, "sip_headers": headers}}


@pytest.fixture
def api(settings: Any) -> Iterator[OpenAISandbox]:
    """OpenAI's stand-in, which the settings name."""
    set_up(platforms()["openai"], settings)
    with OpenAISandbox() as sandbox:
        settings.OPENAI_API_URL, settings.OPENAI_API_KEY = sandbox.url, sandbox.api_key
        yield sandbox


@pytest.fixture
def cached(fake_redis: str) -> None:
    now = int(time.time() * 1000)
    own = {"model": "gpt-realtime-2", "voice": "marin", "instructions": "Help {{customer_name}}."}
    entries = [
        Entry(NUMBER, JOHN, now, "refresh", settings=own),
        Entry("+32460234298", JOHN, now, "refresh", settings={"reject": "true"}),
        Entry(UNKNOWN, None, now, "lookup"),
    ]
    services().call_store.write(entries, announce_unchanged=False)


def send(content: dict[str, Any], settings: Any) -> Response:
    return call_with(platforms()["openai"], json.dumps(content).encode(), settings)


def decision(kind: str = REALTIME, variables: Any = JOHN, **own: str) -> dict[str, Any]:
    response = platforms()["openai"].response(Call(NUMBER, kind, "rtc_1"), known(variables, **own))
    content: dict[str, Any] = json.loads(response.body)
    return content


class TestWhatIsRead:
    @pytest.mark.parametrize(
        ("headers", "called"),
        [
            ([("To", f"sip:{NUMBER}@sip.example.com")], NUMBER),
            ([("to", f'"Bakery, Ghent" <sip:{NUMBER}@h:5061;user=phone>;tag=1')], NUMBER),
            ([("To", f"<tel:{NUMBER}>"), ("Diversion", "<sip:+32460000000@x>")], NUMBER),
            ([("To", PROJECT), ("Diversion", f"<sip:{NUMBER}@x>;reason=unconditional")], NUMBER),
            ([("Diversion", f"<tel:{NUMBER}>"), ("TO", "<sip:100@pbx>")], NUMBER),
            ([("To", "x" * 2000), ("Diversion", f"sip:%2B{NUMBER[1:]}@x")], NUMBER),
            ([("To", PROJECT), ("Diversion", "sip:anonymous@x")], PROJECT),
        ],
    )
    def test_the_called_number(self, headers: list[tuple[str, str]], called: str) -> None:
        content = event()
        junk = [5, {}, {"name": 5, "value": 5}, {"name": "From", "value": None}]
        pairs = [{"name": name, "value": value} for name, value in headers]
        content["data"]["sip_headers"] = [*junk, *pairs]
        call = platforms()["openai"].parse_call(json.dumps(content).encode())
        assert call == (called, REALTIME, "rtc_1", "", "")

    @pytest.mark.parametrize("kind", [REALTIME, LIVE, "live.call.incoming"])
    def test_every_name_of_the_event(self, kind: str) -> None:
        call = platforms()["openai"].parse_call(json.dumps(event(kind=kind)).encode())
        assert call == (NUMBER, kind, "rtc_1", "+32470000001", "")

    @pytest.mark.parametrize("call_id", ["", ".", "..", "x" * 101, "\ud800", "a b", 5, None])
    def test_what_is_no_id_of_a_call_is_refused(self, call_id: Any) -> None:
        with pytest.raises(MalformedCall):
            platforms()["openai"].parse_call(json.dumps(event(call_id=call_id)).encode())

    @pytest.mark.parametrize(
        "content", [{"type": "response.completed"}, {"type": LIVE, "data": {"type": "webrtc"}}]
    )
    def test_another_event_is_acknowledged_and_nothing_is_sent(
        self, content: dict[str, Any], api: OpenAISandbox, settings: Any
    ) -> None:
        with pytest.raises(NotACall):
            platforms()["openai"].parse_call(json.dumps(content).encode())
        assert (send(content, settings).status, api.requests) == (200, [])


class TestDecision:
    @pytest.mark.parametrize(
        ("own", "session"),
        [
            (
                {"instructions": "Hi {{ customer_name }}, {{nl-be_agent_name}}{{x}}!"},
                {"instructions": "Hi John Doe, Tom!"},
            ),
            (
                {"agent_id": "pmpt_1", "agent_version": "2", "voice": "voice_1234"},
                {
                    "prompt": {"id": "pmpt_1", "version": "2", "variables": JOHN},
                    "audio": {"output": {"voice": {"id": "voice_1234"}}},
                },
            ),
            (
                {"agent_id": "pmpt_1", "instructions": "Hi.", "voice": "cedar"},
                {"instructions": "Hi.", "audio": {"output": {"voice": "cedar"}}},
            ),
            ({"squad_id": "of another platform"}, {"instructions": DEFAULT_INSTRUCTIONS}),
        ],
    )
    def test_the_session_of_a_number(self, own: dict[str, str], session: dict[str, Any]) -> None:
        expected = {"type": "realtime", "model": "gpt-realtime", **session}
        assert decision(**own) == {"accept": expected}

    def test_without_anything_openais_own_instructions_are_left(self) -> None:
        assert decision(variables={"a": ""}) == {
            "accept": {"type": "realtime", "model": "gpt-realtime"}
        }

    def test_a_value_is_not_searched_for_other_names(self) -> None:
        variables = {"a": "{{b}}", "b": r"\1 secret"}
        accepted = decision(variables=variables, instructions="{{a}} {{b}} {b} {{}}")["accept"]
        assert accepted["instructions"] == r"{{b}} \1 secret {b} {{}}"

    def test_a_missing_variable_is_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        for _ in range(2):
            decision(instructions="Hi {{first_name_of_this_test}}")
        lines = [line for line in caplog.messages if "first_name_of_this_test" in line]
        assert len(lines) == 1
        assert NUMBER in lines[0]

    def test_the_sdk_sends_the_same_requests(self, api: OpenAISandbox) -> None:
        """The same addresses and bodies, as far as the SDK's types go."""
        import openai

        sdk = openai.OpenAI(api_key=api.api_key, base_url=f"{api.url}/v1", max_retries=0)
        prompt = {"model": "gpt-realtime-2", "voice": "marin", "agent_id": "p"}
        reject = {"reject": "true"}
        sdk.realtime.calls.accept("rtc_a/b", **decision(**prompt)["accept"])
        sdk.realtime.calls.reject("rtc_2", **decision(**reject)["reject"])
        sdk.live.sessions.accept("live_1", **decision(LIVE, instructions="Hi")["accept"])
        sdk.live.sessions.reject("live_2", **decision(LIVE, **reject)["reject"])
        assert [(each.path, each.body) for each in api.decided] == [
            sent(REALTIME, "rtc_a/b", **prompt),
            sent(REALTIME, "rtc_2", **reject),
            sent(LIVE, "live_1", instructions="Hi"),
            sent(LIVE, "live_2", **reject),
        ]


def sent(kind: str, call_id: str, **own: str) -> tuple[str, Any]:
    """The path and the body of Siftly's request."""
    follow_up = platforms()["openai"].follow_up(Call(NUMBER, kind, call_id), known(JOHN, **own))
    assert follow_up
    return urlsplit(follow_up.url).path, follow_up.content


@pytest.mark.usefixtures("cached")
class TestFollowUp:
    def test_a_call_is_accepted_with_its_config_or_rejected(
        self, api: OpenAISandbox, settings: Any
    ) -> None:
        for number, call_id in ((NUMBER, "rtc_1"), ("+32460234298", "rtc_2"), (UNKNOWN, "rtc_3")):
            response = send(event(f"sip:{number}@x", call_id), settings)
            assert (response.status, response.headers["x-siftly-follow-up"]) == (200, "sent")
            [(action, content)] = response.json().items()
            assert (api.requests[-1].action, api.requests[-1].body) == (action, content)
        accepted, rejected, unknown = api.decided
        assert accepted.path == "/v1/realtime/calls/rtc_1/accept"
        assert accepted.body == {
            "type": "realtime",
            "model": "gpt-realtime-2",
            "audio": {"output": {"voice": "marin"}},
            "instructions": "Help John Doe.",
        }
        assert rejected.path == "/v1/realtime/calls/rtc_2/reject"
        assert rejected.body == {"status_code": 603}
        assert (unknown.action, unknown.body["model"]) == ("accept", "gpt-realtime")

    def test_a_live_call_is_accepted_once_and_a_second_event_of_it_is_explained(
        self, api: OpenAISandbox, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        content = event(call_id="live_1", kind=LIVE)
        outcomes = [send(content, settings).headers["x-siftly-follow-up"] for _ in range(2)]
        assert outcomes == ["sent", "failed"]
        [accepted] = api.decided
        assert accepted.path == "/v1/live/sessions/live_1/accept"
        assert accepted.body["session"]["instructions"] == "Help John Doe."
        assert "Something else has accepted or rejected the call." in caplog.text

    def test_no_hit_is_answered_without_its_follow_up(self) -> None:
        paths = web_services().call_handler.fast_answers
        assert b"/webhooks/retell/" in paths
        assert not [path for path in paths if b"openai" in path]

    @pytest.mark.parametrize(
        ("statuses", "outcome", "requests", "says"),
        [
            ([500], "sent", 2, ""),
            ([429, 503], "failed", 2, "503 (server_error, invalid_request_error). It may be"),
            ([401], "failed", 1, "Set OPENAI_API_KEY to a key of the project"),
            ([404], "failed", 1, "The caller has hung up"),
            ([400], "failed", 1, "Check the model, voice"),
            ([302], "failed", 1, "it answered 302"),
            ([504], "unknown", 1, "may have failed to accept the call rtc_1: it answered 504"),
            ([0], "unknown", 1, "the connection broke before an answer came"),
        ],
    )
    def test_a_request_is_repeated_once_if_it_was_certainly_not_carried_out(
        self,
        api: OpenAISandbox,
        settings: Any,
        caplog: pytest.LogCaptureFixture,
        statuses: list[int],
        outcome: str,
        requests: int,
        says: str,
    ) -> None:
        api.statuses = list(statuses)
        response = send(event(), settings)
        assert (response.status, response.headers["x-siftly-follow-up"]) == (200, outcome)
        assert len(api.requests) == requests
        errors = [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
        assert len(errors) == (outcome != "sent")
        assert says in "".join(errors)
        events = services().counters.counts.events
        assert (events["follow_ups_sent"], events["follow_ups_failed"]) == (
            (1, 0) if outcome == "sent" else (0, 1)
        )

    @pytest.mark.parametrize("down", ["not reachable", "no key"])
    def test_without_openai_the_webhook_is_answered_all_the_same(
        self, api: OpenAISandbox, settings: Any, caplog: pytest.LogCaptureFixture, down: str
    ) -> None:
        if down == "no key":
            settings.OPENAI_API_KEY = None
        else:
            settings.OPENAI_API_URL = "http://127.0.0.1:1"
        response = send(event(), settings)
        assert (response.status, response.headers["x-siftly-follow-up"]) == (200, "failed")
        reason = "OPENAI_API_KEY is not set" if down == "no key" else "it can't be reached"
        assert f"OpenAI did not accept the call rtc_1: {reason}." in caplog.messages

    def test_a_slow_openai_delays_the_response_until_the_deadline_and_is_not_asked_again(
        self, api: OpenAISandbox, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(OpenAI, "follow_up_seconds", 0.3)
        api.delay = 60.0
        body = json.dumps(event()).encode()
        headers = headers_for(platforms()["openai"], body, settings)
        path = path_of(platforms()["openai"])
        started = time.monotonic()
        first, second = (asgi_client.send(path, body, headers) for _ in range(2))
        assert 0.3 <= time.monotonic() - started < 20
        assert first.headers["x-siftly-follow-up"] in ("pending", "unknown")
        assert second.headers["x-siftly-follow-up"] in ("pending", "unknown")
        assert len(api.requests) == 1


class TestOnce:
    """The same event again, in one process and in several: each FollowUps is a process."""

    def test_simultaneous_and_repeated_events_cause_one_request(
        self, api: OpenAISandbox, fake_redis: str
    ) -> None:
        api.delay = 0.3
        processes = [self.process() for _ in range(3)]

        async def deliver() -> list[str]:
            twice = [each.send(self.follow_up(api), 5.0) for each in processes * 2]
            return list(await asyncio.gather(*twice))

        assert sorted(asyncio.run(deliver())) == 4 * ["repeated"] + 2 * ["sent"]
        assert set(asyncio.run(deliver())) == {"repeated", "sent"}
        assert len(api.requests) == 1
        other = self.follow_up(api, key="openai:wh_2", call_id="rtc_2")
        assert asyncio.run(processes[0].send(other, 5.0)) == "sent"

    def test_without_redis_a_process_knows_what_it_sent(
        self, api: OpenAISandbox, settings: Any
    ) -> None:
        for url in (None, "redis://127.0.0.1:1"):
            if url:
                use_redis(settings, url)
            process, key = self.process(), f"openai:{url}"
            for _ in range(2):
                follow_up = self.follow_up(api, key=key, call_id=f"rtc_{bool(url)}")
                assert asyncio.run(process.send(follow_up, 5.0)) == "sent"
        assert len(api.requests) == 2

    def test_what_failed_is_tried_again_with_the_next_event_in_any_process(
        self, api: OpenAISandbox, fake_redis: str
    ) -> None:
        first, second = self.process(), self.process()
        for process, expected in ((first, "failed"), (first, "failed"), (second, "sent")):
            api.statuses = [401] if expected == "failed" else []
            assert asyncio.run(process.send(self.follow_up(api), 5.0)) == expected

    def test_the_lease_of_a_killed_process_is_waited_for(
        self, api: OpenAISandbox, fake_redis: str
    ) -> None:
        follow_up = self.follow_up(api)
        lease = Lease(services().call_store, follow_up.key, 1 - LEASE_MARGIN_SECONDS)
        assert lease.acquire()
        assert asyncio.run(self.process().send(follow_up, 5.0)) == "sent"
        assert len(api.decided) == 1

    def test_when_all_threads_are_busy_the_next_call_fails_at_once(
        self, api: OpenAISandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.delay = 60.0
        process = FollowUps(None, services().counters, threads=2)

        async def deliver() -> list[str]:
            keys = ("a", "b", "c")
            calls = [process.send(self.follow_up(api, key, f"rtc_{key}"), 0.5) for key in keys]
            return list(await asyncio.gather(*calls))

        assert sorted(asyncio.run(deliver()))[0] == "failed"
        assert "OpenAI did not accept the call rtc_c: 2 other requests" in caplog.text
        assert services().counters.counts.events["follow_ups_failed"] >= 1

    def process(self) -> FollowUps:
        return FollowUps(services().shared_store, services().counters)

    def follow_up(
        self, api: OpenAISandbox, key: str = "openai:wh_1", call_id: str = "rtc_1"
    ) -> FollowUp:
        call = Call(NUMBER, REALTIME, call_id, event_id=key.removeprefix("openai:"))
        return platforms()["openai"].follow_up(call, known(JOHN))  # type: ignore[return-value]
