"""The TwiML that Twilio gets, compared with its SDK's."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from tests.support.cast import JOHN, NUMBER
from tests.support.platforms import OWN, UNKNOWN, VARIABLES, cache_them, call, known, sent
from tests.support.services import platforms
from webhooks.platforms.base import Call


@pytest.fixture(autouse=True)
def cached(fake_redis: str, settings: Any) -> None:
    cache_them(settings)


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
    def test_the_twiml_equals_the_sdks(
        self, settings: Any, address: str, kind: str, url: str
    ) -> None:
        settings.TWILIO_CONNECT_URL = address
        response = call(platforms()["twilio"], NUMBER, settings)
        assert response.headers["content-type"].startswith("text/xml")
        assert canonical(response.body) == canonical(twiml(kind, url, JOHN))

    @given(VARIABLES)
    def test_any_variables_give_valid_xml(self, variables: dict[str, str]) -> None:
        answer = known(variables, twilio_connect_url="wss://own.example/<\"&'>")
        response = platforms()["twilio"].response(Call(NUMBER), answer)
        root = ET.fromstring(response.body)
        assert root[0][0].get("url") == "wss://own.example/<\"&'>"
        found = [(each.get("name"), each.get("value")) for each in root[0][0]]
        assert found == [
            (without_invalid_xml_characters(name), without_invalid_xml_characters(value))
            for name, value in variables.items()
        ]

    def test_the_numbers_own_address_has_priority(self, settings: Any) -> None:
        settings.TWILIO_CONNECT_URL = "wss://all.example/ws"
        for number, host in ((OWN, "own"), (NUMBER, "all"), (UNKNOWN, "all")):
            body = call(platforms()["twilio"], number, settings).body
            assert ET.fromstring(body)[0][0].get("url") == f"wss://{host}.example/ws"

    @pytest.mark.parametrize("own", ["https://x.example", "to be filled in", "wss:"])
    def test_an_invalid_address_is_logged_and_ignored(
        self, settings: Any, own: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.TWILIO_CONNECT_URL = "wss://all.example/ws"
        answer = known(JOHN, twilio_connect_url=own)
        response = platforms()["twilio"].response(Call(NUMBER), answer)
        assert ET.fromstring(response.body)[0][0].get("url") == "wss://all.example/ws"
        assert f"The twilio_connect_url of {NUMBER} does not start with wss://" in caplog.messages

    def test_without_an_address_the_twiml_is_empty(
        self, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.TWILIO_CONNECT_URL = None
        response = call(platforms()["twilio"], NUMBER, settings)
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
    def test_a_message_or_an_ended_call_gets_empty_twiml(
        self, settings: Any, event: dict[str, str]
    ) -> None:
        response = sent("twilio", event, settings)
        assert response.status == 200
        assert canonical(response.body) == canonical(b"<Response/>")

    def test_a_form_with_thousands_of_fields_is_rejected(self, settings: Any) -> None:
        from tests.support.asgi_client import send

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


def without_invalid_xml_characters(text: str) -> str:
    """The text without the characters that XML cannot have."""
    return "".join(
        each
        for each in text
        if each in "\t\n\r" or (each >= " " and not "\ud800" <= each <= "\udfff")
        if each not in "\ufffe\uffff"
    )
