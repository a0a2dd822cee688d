"""No request causes a 500, and none without a valid signature gets a 200."""

import asyncio
import json
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airtable_sync.cache.entry import Entry
from tests.support.asgi_client import asend
from tests.support.cast import JOHN, NUMBER
from tests.support.fields_read import encoded, fields_read, put
from tests.support.platforms import call_with, path_of, secret_of, set_up
from tests.support.services import platforms, services
from webhooks.platforms.base import Platform

EXPECTED = {
    "retell": {"event", "call_inbound", "call_inbound.call_id", "call_inbound.from_number"},
    "elevenlabs": {"type", "called_number", "caller_id", "call_sid"},
    "vapi": {
        "message.type",
        "message.phoneNumber.sipUri",
        "message.call.id",
        "message.call.phoneNumber.number",
        "message.call.customer.number",
        "message.customer.number",
    },
    "twilio": {"To", "From", "CallSid", "CallStatus"},
    "plivo": {"To", "From", "CallUUID", "CallStatus"},
    "signalwire": {"message", "call", "call.to", "call.from", "call.call_id"},
    "telnyx": {"data.event_type", "data.payload.call_control_id", "data.payload"},
    "synthflow": {"call", "event", "call_inbound.call_id", "call_inbound.from_number", "call_id"},
    "standard": {"to_number", "from_number"},
    "fishaudio": {"event", "call.dialed_number", "call.caller_number", "call.twilio_call_sid"},
    "openai": {"type", "data.type", "data.call_id", "data.sip_headers.0.name"},
    "generic": {"to", "To", "dialed_number", "from", "caller_id"},
}


@pytest.fixture(params=list(platforms()))
def platform(request: pytest.FixtureRequest, settings: Any, fake_redis: str) -> Platform:
    set_up(platforms()[request.param], settings)
    settings.TO_NUMBERS = [NUMBER]  # the others are unknown without a lookup
    services().call_store.write(
        [Entry(NUMBER, JOHN, int(time.time() * 1000), "refresh")], announce_unchanged=False
    )
    return platforms()[request.param]


def signature_headers() -> list[str]:
    """The names of all headers with which platforms authenticate their calls."""
    return [
        "authorization",
        "x-webhook-secret",
        "elevenlabs-signature",
        "x-vapi-secret",
        "x-twilio-webhooks-signature-settings",
        *(
            name.lower()
            for platform in platforms().values()
            for name in platform.sign(
                b"{}", platform.sandbox_variables()[platform.signing_setting], ""
            )
        ),
    ]


NAMES = st.sampled_from(
    [
        *signature_headers(),
        "content-type",
        "content-length",
        "host",
        "x-forwarded-proto",
        "x_y",
        "é",
    ]
)
VALUES = st.one_of(
    st.binary(max_size=80),
    st.sampled_from(
        [
            b"Bearer ",
            b"Bearer \xff",
            b"v=1,d=" + b"0" * 64,
            b"t=1,v0=" + b"0" * 64,
            b"v1,",
            b"v1,\xc3\xa9 v1",
            b"multipart/form-data",
            b"application/x-www-form-urlencoded;charset=utf-7",
            b"9" * 20,
            b"9" * 5000,
            b"[",
            b"a:b",
            b"A" * 88,
            b"algorithm=HMAC_SHA256",
        ]
    ),
)
QUERIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"token=", b"token=%ff", b"bodySHA256=x", b"a&" * 2000]),
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5), QUERIES, st.data())
def test_any_request_without_a_signature_is_refused(
    platform: Platform, headers: list[tuple[str, bytes]], query: bytes, data: st.DataObject
) -> None:
    body = data.draw(st.one_of(st.binary(max_size=200), st.just(platform.sample_body(NUMBER))))
    raw = [(name.encode("latin-1"), value) for name, value in headers]
    status = asyncio.run(asend(path_of(platform), body, raw, query=query)).status
    assert status in (400, 401, 413)


@given(st.binary(max_size=300))
def test_any_signed_bytes_cause_no_server_error(
    platform: Platform, settings: Any, body: bytes
) -> None:
    assert call_with(platform, body, settings).status in (200, 204, 400)


WRONG_SHAPES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=9),
    st.just("9" * 200),
    st.recursive(
        st.text(max_size=3) | st.none(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner),
        max_leaves=3,
    ),
)


@given(st.data())
@pytest.mark.slow
def test_any_shape_of_any_field_that_is_read_causes_no_server_error(
    platform: Platform, settings: Any, data: st.DataObject
) -> None:
    fields = fields_read(platform)
    changes = st.dictionaries(st.sampled_from(fields), WRONG_SHAPES, min_size=1, max_size=3)
    event: dict[str, Any] = {}
    if platform.content_type == "application/json":
        event = json.loads(platform.sample_body(NUMBER))
    for path, value in data.draw(changes).items():
        put(event, path, value)
    assert call_with(platform, encoded(platform, event), settings).status in (200, 204, 400)


@given(st.data())
def test_any_form_causes_no_server_error(
    platform: Platform, settings: Any, data: st.DataObject
) -> None:
    read = [path[-1] for path in fields_read(platform)]
    names = st.sampled_from([*read, "MessageSid"]) | st.text(max_size=9)
    pairs = data.draw(st.lists(st.tuples(names, st.text(max_size=30)), max_size=6))
    body = urlencode(pairs, errors="replace").encode()
    assert call_with(platform, body, settings).status in (200, 204, 400)


def test_the_fields_that_are_read_are_found() -> None:
    """Otherwise the tests above would try too little."""
    for name, expected in EXPECTED.items():
        assert expected <= {".".join(path) for path in fields_read(platforms()[name])}


@given(st.text(max_size=30))
def test_any_called_number_is_answered(platform: Platform, settings: Any, number: str) -> None:
    text = number.encode("utf-8", "replace").decode()
    assert call_with(platform, platform.sample_body(text), settings).status == 200


@given(st.binary(max_size=30))
def test_any_query_causes_no_server_error(platform: Platform, settings: Any, query: bytes) -> None:
    body = platform.sample_body(NUMBER)
    address = f"http://testserver{path_of(platform)}"
    try:
        text = query.decode()
    except UnicodeDecodeError:
        text = ""
    signed = platform.sign(
        body, secret_of(platform, settings), f"{address}?{text}" if text else address
    )
    sent = asend(
        path_of(platform), body, [(k.encode(), v.encode()) for k, v in signed.items()], query=query
    )
    assert asyncio.run(sent).status in (200, 400, 401)
