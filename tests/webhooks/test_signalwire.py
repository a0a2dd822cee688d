"""SignalWire: its signature, and the SWML document that it gets."""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.cast import NUMBER
from tests.support.platforms import is_authentic, known, sent, set_up
from tests.support.services import platforms
from webhooks.platforms.base import Call

ADDRESS = "https://siftly.example.com/webhooks/signalwire/?a=b"
BODY = '{"call": {"to": "+32460234291"}}'
VARIABLES = {"customer_name": "John"}


def accepts(signature: str, body: str = BODY, address: str = ADDRESS) -> bool:
    parts = urlsplit(address)
    headers = {
        "Host": parts.netloc,
        "X-Forwarded-Proto": parts.scheme,
        "X-Signalwire-SHA256-Signature": signature,
    }
    path = f"{parts.path}?{parts.query}"
    return is_authentic("signalwire", body, headers, "other", "PSK_1", path=path)


def test_the_signature_covers_the_address_and_the_body() -> None:
    """As the documentation writes it: hex( HMAC( signing_key, url + raw_body ) )."""
    signature = hmac.new(b"PSK_1", (ADDRESS + BODY).encode(), hashlib.sha256).hexdigest()
    assert accepts(signature)
    assert not accepts(signature, BODY + " ")
    assert not accepts(signature, address=ADDRESS.replace("a=b", "a=c"))
    assert not accepts(signature, address=ADDRESS.replace("siftly", "other"))
    assert not accepts("")


@pytest.mark.parametrize(
    ("own", "steps"),
    [
        ({"reject": "true", "prompt": "Be brief."}, [{"hangup": {"reason": "decline"}}]),
        ({"transfer_to": "+32 470 00 00 01"}, [{"connect": {"to": "+32470000001"}}]),
        ({"transfer_to": "sip:a@b.example"}, [{"connect": {"to": "sip:a@b.example"}}]),
        (
            {"prompt": "Greet ${global_data.customer_name}.", "first_message": "Hello!"},
            [
                {"answer": {}},
                {
                    "ai": {
                        "prompt": {"text": "Greet ${global_data.customer_name}."},
                        "global_data": VARIABLES,
                        "params": {"static_greeting": "Hello!"},
                    }
                },
            ],
        ),
        ({}, [{"transfer": {"dest": "https://agent.example/swml", "params": VARIABLES}}]),
    ],
)
def test_the_document(own: dict[str, str], steps: list[Any], settings: Any) -> None:
    settings.SIGNALWIRE_SWML_URL = "https://agent.example/swml"
    response = platforms()["signalwire"].response(Call(NUMBER), known(VARIABLES, **own))
    assert json.loads(response.body) == {"version": "1.0.0", "sections": {"main": steps}}


def test_without_an_agent_the_call_ends_and_the_log_says_so(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.SIGNALWIRE_SWML_URL = None
    response = platforms()["signalwire"].response(Call(NUMBER), known({}))
    assert json.loads(response.body)["sections"]["main"] == [{"hangup": {}}]
    assert f"No agent for {NUMBER}: SIGNALWIRE_SWML_URL is not set" in caplog.messages


def test_a_text_message_gets_an_empty_document(settings: Any) -> None:
    set_up(platforms()["signalwire"], settings)
    response = sent("signalwire", {"message": {"to": NUMBER}}, settings)
    assert (response.status, response.json()["sections"]) == (200, {"main": []})
