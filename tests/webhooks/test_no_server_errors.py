"""No request causes a 500, and none without a valid signature gets a 200."""

import asyncio
import json
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airtable_sync.cache.entry import Entry
from tests.support.asgi_client import asend
from tests.support.cast import JOHN, NUMBER
from tests.support.platforms import call_with, path_of, secret_of, set_up
from tests.support.services import platforms, services
from webhooks.platforms.base import Platform


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


@given(st.data())
@pytest.mark.slow
def test_any_signed_json_with_the_platforms_names_causes_no_server_error(
    platform: Platform, settings: Any, data: st.DataObject
) -> None:
    words = re.findall(r"[A-Za-z_.-]{2,}", platform.sample_body(NUMBER).decode())
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=9),
        st.sampled_from(words),
    )
    values = st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from([*words, "call_id"]), inner, max_size=4)
        ),
    )
    whole = (
        json.loads(platform.sample_body(NUMBER))
        if platform.content_type == "application/json"
        else {}
    )
    body = json.dumps(data.draw(_changed(whole, values))).encode()
    assert call_with(platform, body, settings).status in (200, 204, 400)


def _changed(whole: Any, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The same object with other values in one or more places, at any depth."""
    if isinstance(whole, list):
        return st.tuples(*(_changed(each, values) for each in whole)).map(list) | values
    if not isinstance(whole, dict):
        return st.just(whole) | values
    members = {name: _changed(value, values) for name, value in whole.items()}
    return st.fixed_dictionaries({}, optional=members) | values


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
