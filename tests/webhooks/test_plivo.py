"""Plivo: signature V3, and the XML that it gets."""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.etree import ElementTree as ET

import pytest

from tests.support.cast import NUMBER
from tests.support.platforms import is_authentic, known
from tests.support.services import platforms
from webhooks.platforms.base import Call

ADDRESS = "https://siftly.example.com/webhooks/plivo/"
FIELDS = {"CallUUID": "c1", "From": "32470000001", "To": "32460234291", "Name": "a b&ü"}
# Made with the `validate_v3_signature` of Plivo's SDK, token_12345 and nonce_1.
VECTORS = [
    (ADDRESS, FIELDS, "1UixqyOVKLm18mUX8H/kzYJ+xdxEDe2BZ6syyo9urcc="),
    (f"{ADDRESS}?b=2&a=1", FIELDS, "H5sjK2IvWDxbykiSI0hl3r5yxQchr4fjahQ8i1Ek6GI="),
    (
        "https://siftly.example.com:8443/webhooks/plivo",
        [("To", "2"), ("A", ""), ("To", "1")],
        "VpWgnYiAhGMrHRg5UVjYUEZx1XQGnYh2cY2XJjJqlEM=",
    ),
]

STREAM = (
    '<Stream bidirectional="true" keepCallAlive="true">wss://agent.example/ws'
    "?customer_name=John%20%26%20Co&amp;agent_id=agent%207</Stream>"
)


def accepts(address: str, fields: Any, signature: str, nonce: str = "nonce_1") -> bool:
    parts = urlsplit(address)
    headers = {"Host": parts.netloc, "X-Forwarded-Proto": parts.scheme}
    headers |= {"X-Plivo-Signature-V3": signature, "X-Plivo-Signature-V3-Nonce": nonce}
    path = f"{parts.path}?{parts.query}"
    return is_authentic("plivo", urlencode(fields), headers, "other", "token_12345", path=path)


@pytest.mark.parametrize(("address", "fields", "signature"), VECTORS)
def test_the_sdks_signatures_are_accepted_and_no_others(
    address: str, fields: Any, signature: str
) -> None:
    assert accepts(address, fields, signature)
    assert accepts(address, fields, f"x, {signature}")  # of a sub-account, for example
    assert not accepts(address, fields, signature, "nonce_2")
    assert not accepts(address, fields, signature, "")
    assert not accepts(address.replace("siftly", "other"), fields, signature)
    assert not accepts(address, [*parse_qsl(urlencode(fields)), ("To", "3")], signature)
    assert not accepts(address, fields, "," * 500 + signature)


def test_place_call_signs_as_the_sdk_expects() -> None:
    plivo = platforms()["plivo"]
    sent = plivo.outgoing_call(NUMBER, "token_12345", ADDRESS)
    nonce = sent.headers["X-Plivo-Signature-V3-Nonce"]
    signature = sent.headers["X-Plivo-Signature-V3"]
    assert accepts(ADDRESS, parse_qsl(sent.body.decode()), signature, nonce)


def test_its_numbers_have_no_plus() -> None:
    call = platforms()["plivo"].parse_call(urlencode(FIELDS).encode())
    assert call == Call("+32460234291", "", "c1", "+32470000001")


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"reject": "true", "transfer_to": "+32470000001"}, '<Hangup reason="rejected" />'),
        ({"transfer_to": "+32 470 00 00 01"}, "<Dial><Number>32470000001</Number></Dial>"),
        ({"transfer_to": "sip:a@b.example"}, "<Dial><User>sip:a@b.example</User></Dial>"),
        (
            {"agent_id": "agent 7"},
            STREAM,
        ),
    ],
)
def test_the_answer(own: dict[str, str], expected: str, settings: Any) -> None:
    settings.PLIVO_CONNECT_URL = "wss://agent.example/ws"
    answer = known({"customer_name": "John & Co"}, **own)
    body = platforms()["plivo"].response(Call(NUMBER), answer).body.decode()
    assert body.partition("?>")[2].strip() == f"<Response>{expected}</Response>"


def test_without_an_agent_the_call_ends_and_the_log_says_so(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.PLIVO_CONNECT_URL = None
    body = platforms()["plivo"].response(Call(NUMBER), known({})).body
    assert len(ET.fromstring(body)) == 0
    assert f"No agent for {NUMBER}: PLIVO_CONNECT_URL is not set" in caplog.messages
