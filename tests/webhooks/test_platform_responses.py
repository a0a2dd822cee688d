"""The responses to each platform, compared with its documentation and its SDK's types."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given

from tests.support.cast import JOHN, NUMBER
from tests.support.platforms import (
    OWN,
    UNKNOWN,
    VARIABLES,
    cache_them,
    call,
    call_with,
    known,
    sent,
)
from tests.support.services import platforms
from webhooks.platforms.base import Call


@pytest.fixture(autouse=True)
def cached(fake_redis: str, settings: Any) -> None:
    cache_them(settings)


class TestElevenLabs:
    def test_the_response(self, settings: Any) -> None:
        assert call(platforms()["elevenlabs"], NUMBER, settings).json() == {
            "type": "conversation_initiation_client_data",
            "dynamic_variables": JOHN,
        }

    def test_a_form_is_read_as_well(self, settings: Any) -> None:
        elevenlabs = platforms()["elevenlabs"]
        form = urlencode({"called_number": NUMBER, "caller_id": "+32470000001", "call_sid": "CA1"})
        response = call_with(elevenlabs, form.encode(), settings)
        assert response.json()["dynamic_variables"] == JOHN

    @given(VARIABLES)
    def test_the_response_is_of_the_sdks_type(self, variables: dict[str, str]) -> None:
        from elevenlabs.types.conversation_initiation_client_data_request_input import (
            ConversationInitiationClientDataRequestInput,
        )

        response = platforms()["elevenlabs"].response(Call(NUMBER), known(variables))
        answer = json.loads(response.body)
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
    def test_the_response_names_the_assistant(self, settings: Any) -> None:
        settings.VAPI_ASSISTANT_ID = "assistant_1"
        vapi, overrides = platforms()["vapi"], {"variableValues": JOHN}
        for number, assistant in ((NUMBER, "assistant_1"), (OWN, "agent_7")):
            answer = call(vapi, number, settings).json()
            assert answer == {"assistantId": assistant, "assistantOverrides": overrides}
        unknown = call(vapi, UNKNOWN, settings).json()
        assert unknown == {
            "assistantId": "assistant_1",
            "assistantOverrides": {"variableValues": {}},
        }

    def test_without_an_assistant_the_response_names_none(
        self, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.VAPI_ASSISTANT_ID = None
        answer = call(platforms()["vapi"], NUMBER, settings).json()
        assert answer == {"assistantOverrides": {"variableValues": JOHN}}
        assert f"No assistant for {NUMBER}: VAPI_ASSISTANT_ID is not set" in caplog.messages

    def test_the_sdks_types_have_the_names_of_the_response(self) -> None:
        """Without importing the SDK, which takes at least ten seconds."""
        spec = importlib.util.find_spec("vapi")
        assert spec
        assert spec.origin
        types = Path(spec.origin).parent / "types"
        request = (types / "server_message_response_assistant_request.py").read_text()
        overrides = (types / "assistant_overrides.py").read_text()
        assert {"assistantId", "assistantOverrides"} <= set(re.findall(r'"(\w+)"', request))
        assert "variableValues" in re.findall(r'"(\w+)"', overrides)

    @pytest.mark.long  # the import
    @pytest.mark.slow
    @given(VARIABLES)
    def test_the_response_is_of_the_sdks_type(self, variables: dict[str, str]) -> None:
        from vapi.types.server_message_response_assistant_request import (
            ServerMessageResponseAssistantRequest,
        )

        answer = known(variables, agent_id="agent_7")
        response = platforms()["vapi"].response(Call(NUMBER), answer)
        parsed = ServerMessageResponseAssistantRequest.model_validate_json(response.body)
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
    def test_the_called_number_is_found_in_every_documented_place(
        self, settings: Any, message: dict[str, Any]
    ) -> None:
        response = sent("vapi", {"message": {"type": "assistant-request", **message}}, settings)
        assert response.json()["assistantOverrides"]["variableValues"] == JOHN

    def test_a_sip_address_without_a_number_is_unknown(self, settings: Any) -> None:
        phone = {"provider": "vapi", "sipUri": "sip:sales@sip.vapi.ai"}
        message = {"type": "assistant-request", "phoneNumber": phone}
        response = sent("vapi", {"message": message}, settings)
        assert (response.status, response.headers["x-siftly-source"]) == (200, "default")

    @pytest.mark.parametrize("kind", ["status-update", "end-of-call-report", "tool-calls", ""])
    def test_another_message_is_acknowledged(self, settings: Any, kind: str) -> None:
        response = sent("vapi", {"message": {"type": kind}}, settings)
        assert (response.status, response.json()) == (200, {})


class TestTelnyx:
    def test_the_response_nests_the_variables(self, settings: Any) -> None:
        answer = call(platforms()["telnyx"], NUMBER, settings).json()
        assert answer == {"dynamic_variables": JOHN}

    def test_another_event_is_acknowledged(self, settings: Any) -> None:
        event = {"data": {"event_type": "call.hangup", "payload": {}}}
        response = sent("telnyx", event, settings)
        assert (response.status, response.json()) == (200, {})


class TestSynthflow:
    @pytest.mark.parametrize(("number", "variables"), [(NUMBER, JOHN), (UNKNOWN, {})])
    def test_the_response_is_never_empty(
        self, settings: Any, number: str, variables: dict[str, str]
    ) -> None:
        assert call(platforms()["synthflow"], number, settings).json() == {
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
    def test_the_response(self, settings: Any) -> None:
        standard = platforms()["standard"]
        assert call(standard, "0032 460 23 42 91", settings).json() == {
            "to_number": NUMBER,
            "known": True,
            "variables": JOHN,
        }
        for number in (UNKNOWN, "client:alice"):
            unknown = {"to_number": number, "known": False, "variables": {}}
            assert call(standard, number, settings).json() == unknown


class TestRetell:
    @given(VARIABLES)
    def test_the_variables_are_of_the_sdks_type(self, variables: dict[str, str]) -> None:
        from pydantic import TypeAdapter
        from retell.types.call_create_phone_call_params import CallCreatePhoneCallParams

        response = platforms()["retell"].response(Call(NUMBER, "call_inbound"), known(variables))
        kept = json.loads(response.body)["call_inbound"]["dynamic_variables"]
        kind = CallCreatePhoneCallParams.__annotations__["retell_llm_dynamic_variables"]
        assert "Dict[str, str]" in str(kind)
        assert TypeAdapter(dict[str, str]).validate_python(kept, strict=True) == variables
