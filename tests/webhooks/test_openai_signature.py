"""OpenAI's signature, compared with `webhooks.unwrap` of its SDK."""

import base64
import json
from functools import lru_cache
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.cast import NUMBER
from tests.support.platforms import TEXT, is_authentic
from tests.support.services import platforms

KEYS = st.binary(min_size=1, max_size=64)


@lru_cache(1)
def sdk() -> Any:
    """Imported here, because it takes a second."""
    import openai

    return openai.OpenAI(api_key="sk-test")


def unwrap(body: bytes, headers: dict[str, str], secret: str) -> Any:
    return sdk().webhooks.unwrap(body, headers, secret=secret)


def is_accepted_by_sdk(body: bytes, headers: dict[str, str], secret: str) -> bool:
    import openai

    try:
        unwrap(body, headers, secret)
    except openai.InvalidWebhookSignatureError:
        return False
    return True


@given(TEXT, KEYS, KEYS)
def test_the_sdk_and_siftly_accept_the_same_signatures(text: str, key: bytes, other: bytes) -> None:
    body = json.dumps({"type": "realtime.call.incoming", "data": text}).encode()
    ours, theirs = ("whsec_" + base64.b64encode(each).decode() for each in (key, other))
    signed = platforms()["openai"].sign(body, ours, "")
    assert unwrap(body, signed, ours).data == text
    assert is_authentic("openai", body, signed, theirs, ours)
    changed = signed | {"webhook-id": "wh_2"}
    for each, headers, secret in (
        (body, signed, ours),
        (body + b" ", signed, ours),
        (body, changed, ours),
        (body, signed, theirs),
    ):
        accepted = is_authentic("openai", each, headers, secret)
        assert accepted == is_accepted_by_sdk(each, headers, secret)


def test_the_secret_itself_is_no_signature() -> None:
    secret = platforms()["openai"].sandbox_variables()["OPENAI_WEBHOOK_SECRET"]
    assert not is_authentic("openai", b"{}", {"Authorization": f"Bearer {secret}"}, secret)


def test_what_place_call_sends_is_an_event_of_the_sdks_type() -> None:
    secret = platforms()["openai"].sandbox_variables()["OPENAI_WEBHOOK_SECRET"]
    sent = platforms()["openai"].outgoing_call(NUMBER, secret, "", "+32470000001")
    event = unwrap(sent.body, dict(sent.headers), secret)
    assert type(event).__name__ == "RealtimeCallIncomingWebhookEvent"
    assert not event.model_extra
    assert event.data.call_id.startswith("rtc_")
    headers = {each.name: each.value for each in event.data.sip_headers}
    assert NUMBER in headers["To"]
    assert "+32470000001" in headers["From"]
