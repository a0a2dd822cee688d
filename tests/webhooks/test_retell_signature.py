"""Retell's signature, compared with Retell's SDK."""

import re
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import platforms
from tests.support.sdks import sdk_module
from tests.support.services import platforms as all_platforms
from webhooks.platforms.authentication import TOLERANCE_SECONDS

webhook_auth = sdk_module("retell", "lib/webhook_auth.py")
TOLERANCE_MS = TOLERANCE_SECONDS * 1000
KEY = "key_test_0123456789abcdef"
VECTOR_BODY = (
    b'{"event":"call_inbound","event_timestamp":1753292368123,"call_inbound":{"agent_id":'
    b'"agent_12345","from_number":"+32470000001","to_number":"+32460234291"}}'
)
VECTOR_SIGNATURE = (
    "v=1753292368123,d=b5371142a6d2411697ecfd94c859f48bddaac6b36eefaf413c44bae5f3cead3d"
)


def is_authentic(body: bytes, signature: str | None, keys: Sequence[str] = (KEY,)) -> bool:
    headers = {} if signature is None else {"X-Retell-Signature": signature}
    return platforms.is_authentic("retell", body, headers, *keys)


def signed(body: str, key: str = KEY, at: float | None = None) -> str:
    return str(webhook_auth.symmetric["sign"](body, key, int((at or time.time()) * 1000)))


def test_the_reference_vector_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1753292368.123)
    assert is_authentic(VECTOR_BODY, VECTOR_SIGNATURE)
    assert not is_authentic(VECTOR_BODY + b" ", VECTOR_SIGNATURE)


@given(st.text(), st.text(min_size=1).filter(lambda key: key.isprintable()))
def test_what_the_sdk_signs_is_authentic(body: str, key: str) -> None:
    body = body.encode("utf-8", "replace").decode()
    key = key.encode("utf-8", "replace").decode()
    assert is_authentic(body.encode(), signed(body, key), [key])


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_the_sdk_accepts_what_place_call_signs(number: str) -> None:
    call = all_platforms()["retell"].outgoing_call(number, KEY, "")
    assert webhook_auth.verify(call.body.decode(), KEY, call.headers["X-Retell-Signature"])


def test_each_of_several_keys_is_accepted() -> None:
    assert is_authentic(b"{}", signed("{}", "new"), ["old", "new"])
    assert is_authentic(b"{}", signed("{}", "old"), ["old", "new"])
    assert not is_authentic(b"{}", signed("{}", "other"), ["old", "new"])


@pytest.mark.parametrize("away_ms", [TOLERANCE_MS, -TOLERANCE_MS])
def test_a_signature_is_valid_for_exactly_five_minutes(
    monkeypatch: pytest.MonkeyPatch, away_ms: int
) -> None:
    now_ms = 1_800_000_000_000
    monkeypatch.setattr(time, "time", lambda: now_ms / 1000)
    beyond = away_ms + (1 if away_ms > 0 else -1)
    assert is_authentic(b"{}", str(webhook_auth.symmetric["sign"]("{}", KEY, now_ms + away_ms)))
    assert not is_authentic(b"{}", str(webhook_auth.symmetric["sign"]("{}", KEY, now_ms + beyond)))


@pytest.mark.parametrize(
    "change",
    [
        lambda s: None,
        lambda s: "",
        lambda s: s[:-1],
        lambda s: s + "0",
        lambda s: s.upper(),
        lambda s: s.replace(",", ", "),
        lambda s: f" {s} x",
        lambda s: re.sub(r"v=\d+", "v=", s),
        lambda s: re.sub(r"v=\d+", "v=" + "9" * 5000, s),
        lambda s: re.sub(r"v=\d+", "v=-1", s),
        lambda s: re.sub(r"v=\d+", "v=٣", s.encode().decode()),
        lambda s: s.replace("v=", "v=0"),
        lambda s: s.replace("d=", "d=é"),
        lambda s: f"{s},{s}",
    ],
)
def test_a_malformed_signature_is_rejected(change: object) -> None:
    assert callable(change)
    signature = change(signed("{}"))
    if signature == "v=0" + signed("{}")[2:]:
        return  # the SDK also reads it as the same number
    assert not is_authentic(b"{}", signature)


@given(st.binary(), st.text(alphabet=st.characters(codec="latin-1", exclude_categories=["Cc"])))
def test_no_header_is_accepted_or_causes_an_error(body: bytes, header: str) -> None:
    assert not is_authentic(body, header)
