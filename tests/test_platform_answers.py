"""What each platform is sent back, by its documentation and its SDK's own types."""

import json
import time
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from airtable_sync.answers import Answer
from airtable_sync.entries import Entry
from airtable_sync.store import CALLS
from tests.asgi_client import Response
from tests.cast import JOHN, NUMBER
from tests.platforms import call, call_with, set_up
from webhooks.platforms import PLATFORMS
from webhooks.platforms.base import Call

UNKNOWN, OWN = "+32460234299", "+32460234298"
OWN_SETTINGS = {"preferred_agent_id": "agent_7", "twilio_connect_url": "wss://own.example/ws"}
SENT = st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=6)


@pytest.fixture(autouse=True)
def cached(fake_redis: str, settings: Any) -> None:
    now = int(time.time() * 1000)
    john = Entry(NUMBER, JOHN, now, "refresh")
    own = Entry(OWN, JOHN, now, "refresh", settings=OWN_SETTINGS)
    CALLS.write([john, own, Entry(UNKNOWN, None, now, "lookup")], announce_unchanged=False)
    for platform in PLATFORMS.values():
        set_up(platform, settings)


def known(variables: dict[str, str], **own: str) -> Answer:
    return Answer(NUMBER, True, variables, own, "memory")


def sent(name: str, event: Any, settings: Any) -> Response:
    platform = PLATFORMS[name]
    form = platform.content_type != "application/json"
    return call_with(platform, (urlencode if form else json.dumps)(event).encode(), settings)


class TestElevenLabs:
    def test_the_answer(self, settings: Any) -> None:
        assert call(PLATFORMS["elevenlabs"], NUMBER, settings).json() == {
            "type": "conversation_initiation_client_data",
            "dynamic_variables": JOHN,
        }

    @hypothesis_settings(deadline=None)
    @given(SENT)
    def test_it_is_of_the_sdks_type(self, variables: dict[str, str]) -> None:
        from elevenlabs.types.conversation_initiation_client_data_request_input import (
            ConversationInitiationClientDataRequestInput,
        )

        response = PLATFORMS["elevenlabs"].response(Call(NUMBER), known(variables))
        answer = json.loads(response.content)
        answer.pop("type")
        parsed = ConversationInitiationClientDataRequestInput.model_validate(answer)
        assert parsed.dynamic_variables == variables
        assert not parsed.model_extra

    @pytest.mark.parametrize("kind", ["post_call_transcription", "call_initiation_failure"])
    def test_an_event_after_a_call_is_acknowledged_with_200(self, settings: Any, kind: str) -> None:
        event = {"type": kind, "event_timestamp": 1, "data": {"agent_id": "a"}}
        response = sent("elevenlabs", event, settings)
        assert (response.status, response.json()) == (200, {})
        assert response.headers["x-siftly-source"] == "default"


class TestVapi:
    def test_the_answer_names_the_assistant(self, settings: Any) -> None:
        settings.VAPI_ASSISTANT_ID = "assistant_1"
        vapi, overrides = PLATFORMS["vapi"], {"variableValues": JOHN}
        for number, assistant in ((NUMBER, "assistant_1"), (OWN, "agent_7")):
            answer = call(vapi, number, settings).json()
            assert answer == {"assistantId": assistant, "assistantOverrides": overrides}
        unknown = call(vapi, UNKNOWN, settings).json()
        assert unknown == {
            "assistantId": "assistant_1",
            "assistantOverrides": {"variableValues": {}},
        }

    def test_without_any_assistant_vapi_is_left_to_its_fallback(
        self, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.VAPI_ASSISTANT_ID = None
        answer = call(PLATFORMS["vapi"], NUMBER, settings).json()
        assert answer == {"assistantOverrides": {"variableValues": JOHN}}
        assert f"No assistant for {NUMBER}: VAPI_ASSISTANT_ID is not set" in caplog.messages

    @pytest.mark.slow  # importing the SDK takes ten seconds
    @hypothesis_settings(deadline=None)
    @given(SENT)
    def test_it_is_of_the_sdks_type(self, variables: dict[str, str]) -> None:
        from vapi.types.server_message_response_assistant_request import (
            ServerMessageResponseAssistantRequest,
        )

        answer = known(variables, preferred_agent_id="agent_7")
        response = PLATFORMS["vapi"].response(Call(NUMBER), answer)
        parsed = ServerMessageResponseAssistantRequest.model_validate_json(response.content)
        assert parsed.assistant_id == "agent_7"
        assert parsed.assistant_overrides
        assert parsed.assistant_overrides.variable_values == variables
        assert not parsed.model_extra
        assert not parsed.assistant_overrides.model_extra

    @pytest.mark.parametrize(
        "message",
        [
            {"phoneNumber": {"number": NUMBER}},
            {"phoneNumber": {"number": NUMBER}, "call": None},
            {"call": {"phoneNumber": {"number": NUMBER}}},
            {"phoneNumber": {"number": None}, "call": {"phoneNumber": {"number": NUMBER}}},
            {"phoneNumber": None, "call": {"phoneNumber": {"number": NUMBER}}},
            {"phoneNumber": {"provider": "vapi", "sipUri": f"sip:{NUMBER}@sip.vapi.ai"}},
        ],
    )
    def test_the_called_number_is_found_wherever_it_is(
        self, settings: Any, message: dict[str, Any]
    ) -> None:
        response = sent("vapi", {"message": {"type": "assistant-request", **message}}, settings)
        assert response.json()["assistantOverrides"]["variableValues"] == JOHN

    def test_a_number_with_a_sip_name_is_unknown(self, settings: Any) -> None:
        phone = {"provider": "vapi", "sipUri": "sip:sales@sip.vapi.ai"}
        message = {"type": "assistant-request", "phoneNumber": phone}
        response = sent("vapi", {"message": message}, settings)
        assert (response.status, response.headers["x-siftly-source"]) == (200, "default")

    @pytest.mark.parametrize("kind", ["status-update", "end-of-call-report", "tool-calls", ""])
    def test_another_message_is_acknowledged(self, settings: Any, kind: str) -> None:
        response = sent("vapi", {"message": {"type": kind}}, settings)
        assert (response.status, response.json()) == (200, {})


class TestTwilio:
    CALL = {"CallSid": "CA0", "From": "anonymous", "To": NUMBER, "CallStatus": "ringing"}

    @pytest.mark.parametrize(
        ("address", "kind", "url"),
        [
            ("wss://agent.example/ws", "conversation_relay", "wss://agent.example/ws"),
            ("wss://a.example/?a=1&b=%22", "conversation_relay", "wss://a.example/?a=1&b=%22"),
            ("wss://agent.example/ws#stream", "stream", "wss://agent.example/ws"),
        ],
    )
    def test_the_twiml_is_the_sdks(self, settings: Any, address: str, kind: str, url: str) -> None:
        settings.TWILIO_CONNECT_URL = address
        response = call(PLATFORMS["twilio"], NUMBER, settings)
        assert response.headers["content-type"].startswith("text/xml")
        assert canonical(response.body) == canonical(twiml(kind, url, JOHN))

    @given(SENT)
    @hypothesis_settings(deadline=None)
    def test_any_text_becomes_xml(self, variables: dict[str, str]) -> None:
        answer = known(variables, twilio_connect_url="wss://own.example/<\"&'>")
        response = PLATFORMS["twilio"].response(Call(NUMBER), answer)
        root = ET.fromstring(response.content)
        assert root[0][0].get("url") == "wss://own.example/<\"&'>"
        found = [(each.get("name"), each.get("value")) for each in root[0][0]]
        assert found == [(in_xml(name), in_xml(value)) for name, value in variables.items()]

    def test_a_numbers_own_address_goes_first(self, settings: Any) -> None:
        settings.TWILIO_CONNECT_URL = "wss://all.example/ws"
        for number, host in ((OWN, "own"), (NUMBER, "all"), (UNKNOWN, "all")):
            body = call(PLATFORMS["twilio"], number, settings).body
            assert ET.fromstring(body)[0][0].get("url") == f"wss://{host}.example/ws"

    @pytest.mark.parametrize("own", ["https://x.example", "to be filled in", "wss:"])
    def test_an_address_that_is_none_is_said_and_passed_over(
        self, settings: Any, own: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.TWILIO_CONNECT_URL = "wss://all.example/ws"
        answer = known(JOHN, twilio_connect_url=own)
        response = PLATFORMS["twilio"].response(Call(NUMBER), answer)
        assert ET.fromstring(response.content)[0][0].get("url") == "wss://all.example/ws"
        assert f"The twilio_connect_url of {NUMBER} does not start with wss://" in caplog.messages

    def test_without_any_address_there_is_nothing_to_do(
        self, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.TWILIO_CONNECT_URL = None
        response = call(PLATFORMS["twilio"], NUMBER, settings)
        assert response.status == 200
        assert canonical(response.body) == canonical(b"<Response/>")
        assert f"No agent for {NUMBER}: TWILIO_CONNECT_URL is not set" in caplog.messages

    @pytest.mark.parametrize(
        "event",
        [
            {"MessageSid": "SM0", "To": NUMBER, "Body": "hello"},
            {**CALL, "CallStatus": "completed"},
            {**CALL, "CallStatus": "no-answer"},
        ],
    )
    def test_a_message_or_a_call_that_is_over_gets_empty_twiml(
        self, settings: Any, event: dict[str, str]
    ) -> None:
        response = sent("twilio", event, settings)
        assert response.status == 200
        assert canonical(response.body) == canonical(b"<Response/>")

    def test_fields_by_the_thousand_are_refused_unread(self, settings: Any) -> None:
        from tests.asgi_client import send

        headers = {"X-Twilio-Signature": "x"}
        assert send("/webhooks/twilio/", b"&".join([b"a=1"] * 16_000), headers).status == 401


def twiml(kind: str, url: str, variables: dict[str, str]) -> bytes:
    from twilio.twiml.voice_response import Connect, VoiceResponse

    response, connect = VoiceResponse(), Connect()
    agent = getattr(connect, kind)(url=url)
    for name, value in variables.items():
        agent.parameter(name=name, value=value)
    response.append(connect)
    return str(response).encode()


def canonical(xml: bytes) -> str:
    return ET.canonicalize(xml.decode())


def in_xml(text: str) -> str:
    """The text without the characters that XML has no way to write."""
    return "".join(
        each
        for each in text
        if each in "\t\n\r" or (each >= " " and not "\ud800" <= each <= "\udfff")
        if each not in "\ufffe\uffff"
    )


class TestTelnyx:
    def test_the_answer_is_not_flat(self, settings: Any) -> None:
        answer = call(PLATFORMS["telnyx"], NUMBER, settings).json()
        assert answer == {"dynamic_variables": JOHN}

    def test_another_event_is_acknowledged(self, settings: Any) -> None:
        event = {"data": {"event_type": "call.hangup", "payload": {}}}
        response = sent("telnyx", event, settings)
        assert (response.status, response.json()) == (200, {})


class TestSynthflow:
    @pytest.mark.parametrize(("number", "variables"), [(NUMBER, JOHN), (UNKNOWN, {})])
    def test_the_answer_is_never_empty_for_that_would_hang_up(
        self, settings: Any, number: str, variables: dict[str, str]
    ) -> None:
        assert call(PLATFORMS["synthflow"], number, settings).json() == {
            "call_inbound": {
                "override_model_id": "",
                "custom_variables": variables,
                "metadata": {"source": "siftly"},
            }
        }

    @pytest.mark.parametrize(
        "event",
        [{"event": "call_ended"}, {"status": "completed", "call": {"call_id": "1"}}],
    )
    def test_another_event_is_acknowledged(self, settings: Any, event: Any) -> None:
        response = sent("synthflow", event, settings)
        assert (response.status, response.json()) == (200, {})


class TestStandard:
    def test_the_answer(self, settings: Any) -> None:
        standard = PLATFORMS["standard"]
        assert call(standard, "0032 460 23 42 91", settings).json() == {
            "to_number": NUMBER,
            "known": True,
            "variables": JOHN,
        }
        for number in (UNKNOWN, "client:alice"):
            unknown = {"to_number": number, "known": False, "variables": {}}
            assert call(standard, number, settings).json() == unknown


class TestRetell:
    @hypothesis_settings(deadline=None)
    @given(SENT)
    def test_its_variables_are_of_the_sdks_type(self, variables: dict[str, str]) -> None:
        from pydantic import TypeAdapter
        from retell.types.call_create_phone_call_params import CallCreatePhoneCallParams

        response = PLATFORMS["retell"].response(Call(NUMBER, "call_inbound"), known(variables))
        kept = json.loads(response.content)["call_inbound"]["dynamic_variables"]
        kind = CallCreatePhoneCallParams.__annotations__["retell_llm_dynamic_variables"]
        assert "Dict[str, str]" in str(kind)
        assert TypeAdapter(dict[str, str]).validate_python(kept, strict=True) == variables
