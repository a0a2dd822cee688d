"""What a number's own settings add to each platform's answer."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from twilio.twiml.voice_response import Connect, Dial, VoiceResponse

from tests.support.cast import NUMBER
from tests.support.platforms import known
from tests.support.services import platforms
from webhooks.platforms.base import Call

VARIABLES = {"customer_name": "John"}
OBJECT = {"agent": {"voice_speed": 1.1}}


@pytest.fixture(autouse=True)
def defaults(settings: Any) -> None:
    settings.VAPI_ASSISTANT_ID = "assistant_1"
    settings.TWILIO_CONNECT_URL = "wss://agent.example/ws"


def answer(platform: str, kind: str = "", **settings: str) -> Any:
    response = platforms()[platform].response(Call(NUMBER, kind), known(VARIABLES, **settings))
    return json.loads(response.body)


class TestRetell:
    @pytest.mark.parametrize("kind", ["call_inbound", "chat_inbound"])
    @pytest.mark.parametrize(
        ("setting", "text", "member"),
        [
            ("agent_id", "agent_7", {"override_agent_id": "agent_7"}),
            ("agent_version", "3", {"override_agent_version": 3}),
            ("agent_version", "latest", {"override_agent_version": "latest"}),
            ("agent_version", "²", {"override_agent_version": "²"}),
            ("agent_override", json.dumps(OBJECT), {"agent_override": OBJECT}),
            ("reject", "true", {"reject": True}),
            ("reject", "false", {}),
            ("squad_id", "of another platform", {}),
        ],
    )
    def test_each_setting(self, kind: str, setting: str, text: str, member: dict[str, Any]) -> None:
        inbound = answer("retell", kind, **{setting: text})[kind]
        assert inbound.pop("dynamic_variables") == VARIABLES
        assert inbound.pop("metadata")["customer_known"] is True
        assert inbound == member


class TestVapi:
    VALUES = {"variableValues": VARIABLES}

    @pytest.mark.parametrize(
        ("own", "expected"),
        [
            ({}, {"assistantId": "assistant_1", "assistantOverrides": VALUES}),
            ({"agent_id": "a7"}, {"assistantId": "a7", "assistantOverrides": VALUES}),
            ({"squad_id": "s1", "agent_id": "a7"}, {"squadId": "s1", "squadOverrides": VALUES}),
            (
                {"assistant": json.dumps(OBJECT), "squad_id": "s1"},
                {"assistant": OBJECT, "assistantOverrides": VALUES},
            ),
            (
                {"transfer_to": "+32 (0)470/00.00.01", "agent_id": "a7"},
                {"destination": {"type": "number", "number": "+32470000001"}},
            ),
            (
                {"transfer_to": "sip:sales@example.com"},
                {"destination": {"type": "sip", "sipUri": "sip:sales@example.com"}},
            ),
            (
                {"error_message": "We are closed.", "transfer_to": "+32"},
                {"error": "We are closed."},
            ),
            (
                {"first_message": "Hello!"},
                {
                    "assistantId": "assistant_1",
                    "assistantOverrides": {**VALUES, "firstMessage": "Hello!"},
                },
            ),
        ],
    )
    def test_exactly_one_way_to_answer(self, own: dict[str, str], expected: dict[str, Any]) -> None:
        assert answer("vapi", **own) == expected

    def test_the_sdks_types_have_these_names(self) -> None:
        import importlib.util

        spec = importlib.util.find_spec("vapi")
        assert spec
        assert spec.origin
        types = Path(spec.origin).parent / "types"
        text = "".join(
            (types / f"{name}.py").read_text()
            for name in (
                "server_message_response_assistant_request",
                "assistant_overrides",
                "transfer_destination_sip",
                "transfer_destination_number",
            )
        )
        names = set(re.findall(r'"(\w+)"|^    (\w+):', text, re.M))
        words = {word for pair in names for word in pair}
        assert {"squadId", "squadOverrides", "firstMessage", "sipUri"} <= words
        assert {"destination", "assistant", "error", "number"} <= words


class TestElevenLabs:
    def test_every_setting_is_of_the_sdks_type(self) -> None:
        from elevenlabs.types.conversation_initiation_client_data_request_input import (
            ConversationInitiationClientDataRequestInput,
        )

        content = answer(
            "elevenlabs",
            first_message="Hello!",
            language="nl",
            prompt="Be brief.",
            voice_id="v1",
            branch_id="b1",
            environment="staging",
            user_id="u1",
        )
        content.pop("type")
        parsed = ConversationInitiationClientDataRequestInput.model_validate(content)
        assert not parsed.model_extra
        override = parsed.conversation_config_override
        assert override
        assert override.agent
        assert override.agent.prompt
        assert override.tts
        assert (override.agent.first_message, override.agent.language) == ("Hello!", "nl")
        assert (override.agent.prompt.prompt, override.tts.voice_id) == ("Be brief.", "v1")
        assert (parsed.branch_id, parsed.environment, parsed.user_id) == ("b1", "staging", "u1")

    def test_only_what_is_set_is_sent(self) -> None:
        """An override that the agent's security tab forbids ends the conversation."""
        assert set(answer("elevenlabs")) == {"type", "dynamic_variables"}
        content = answer("elevenlabs", voice_id="v1")
        assert content["conversation_config_override"] == {"tts": {"voice_id": "v1"}}


class TestTwilio:
    @pytest.mark.parametrize(
        ("own", "expected"),
        [
            ({"reject": "true", "transfer_to": "+32470000001"}, "reject"),
            ({"transfer_to": "+32 470 00 00 01"}, "number"),
            ({"transfer_to": "sip:a&b@example.com"}, "sip"),
        ],
    )
    def test_it_transfers_or_rejects(self, own: dict[str, str], expected: str) -> None:
        wanted = VoiceResponse()
        if expected == "reject":
            wanted.reject()
        else:
            dial = Dial()
            getattr(dial, expected)(own["transfer_to"].replace(" ", ""))
            wanted.append(dial)
        assert self.xml(**own) == ET.canonicalize(str(wanted))

    def test_conversation_relay_gets_its_greeting_language_and_voice(self) -> None:
        connect = Connect()
        relay = connect.conversation_relay(
            url="wss://agent.example/ws",
            welcome_greeting="Hallo & dag",
            language="nl-NL",
            voice="v",
        )
        relay.parameter(name="customer_name", value="John")
        wanted = VoiceResponse()
        wanted.append(connect)
        found = self.xml(first_message="Hallo & dag", language="nl-NL", voice="v")
        assert found == ET.canonicalize(str(wanted))

    def test_a_stream_has_no_such_attributes(self) -> None:
        found = self.xml(twilio_connect_url="wss://own.example/ws#stream", language="nl-NL")
        assert "language" not in found
        assert "<Stream url=" in found

    def xml(self, **settings: str) -> str:
        response = platforms()["twilio"].response(Call(NUMBER), known(VARIABLES, **settings))
        return ET.canonicalize(response.body.decode())


@pytest.mark.parametrize("text", ["{", "[]", "5", '"x"', "[" * 3000, "NaN"])
def test_text_that_is_no_json_object_is_left_out(text: str) -> None:
    """It was left out when the base was read; an entry in Redis may have been written by hand."""
    assert "agent_override" not in answer("retell", "call_inbound", agent_override=text)
    assert answer("telnyx", memory=text, conversation=text) == {"dynamic_variables": VARIABLES}
    assert "assistantId" in answer("vapi", assistant=text)


def test_telnyx_gets_memory_and_conversation() -> None:
    memory = {"conversation_query": "metadata->tier=eq.premium"}
    conversation = {"metadata": {"tier": "premium"}}
    assert answer("telnyx", memory=json.dumps(memory), conversation=json.dumps(conversation)) == {
        "dynamic_variables": VARIABLES,
        "memory": memory,
        "conversation": conversation,
    }


def test_synthflow_answers_with_the_numbers_agent() -> None:
    assert answer("synthflow", agent_id="m7")["call_inbound"]["override_model_id"] == "m7"
    assert answer("synthflow")["call_inbound"]["override_model_id"] == ""
