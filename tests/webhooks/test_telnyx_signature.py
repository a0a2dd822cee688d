"""Telnyx' signature, compared with its SDK."""

import base64
import time
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.platforms import TEXT, is_authentic
from tests.support.sdks import sdk_module
from tests.support.services import platforms


@lru_cache
def telnyx_sdk() -> Any:
    """Only the file that verifies signatures: the whole SDK takes five seconds to import."""
    return sdk_module("telnyx", "lib/webhook_verification.py")


def telnyx_accepts(body: bytes, headers: dict[str, str], key: str) -> bool:
    sdk = telnyx_sdk()
    try:
        sdk.verify_webhook_signature(body, headers, key)
    except sdk.WebhookVerificationError:
        return False
    return True


class TestTelnyx:
    def test_the_sdk_accepts_what_place_call_signs(self) -> None:
        pair = platforms()["telnyx"].sandbox_variables()
        sent = platforms()["telnyx"].outgoing_call("+32460234291", pair["TELNYX_SIGNING_KEY"], "")
        assert telnyx_accepts(sent.body, dict(sent.headers), pair["TELNYX_PUBLIC_KEY"])

    @given(TEXT, st.integers(-400, 400), st.booleans())  # text, because the SDK accepts only UTF-8
    def test_it_accepts_what_the_sdk_accepts(self, text: str, seconds: int, forged: bool) -> None:
        from nacl.signing import SigningKey

        key = SigningKey.generate()
        public = base64.b64encode(bytes(key.verify_key)).decode()
        body, timestamp = text.encode(), str(int(time.time()) + seconds)
        if abs(abs(seconds) - 300) < 2:
            return  # the clock advances between the two checks
        signed = key.sign(f"{timestamp}|".encode() + body).signature
        headers = {
            "Telnyx-Timestamp": timestamp,
            "Telnyx-Signature-Ed25519": base64.b64encode(signed).decode(),
        }
        sent = body + b"x" if forged else body
        other = platforms()["telnyx"].sandbox_variables()["TELNYX_PUBLIC_KEY"]
        ours = is_authentic("telnyx", sent, headers, other, public)
        assert ours == telnyx_accepts(sent, headers, public)
        assert ours == (not forged and abs(seconds) < 300)

    @pytest.mark.parametrize("key", ["", "x", "é", "AAAA", "A" * 44, "whsec_x", "=" * 44])
    def test_a_malformed_key_accepts_no_signature(self, key: str) -> None:
        pair = platforms()["telnyx"].sandbox_variables()
        sent = platforms()["telnyx"].outgoing_call("1", pair["TELNYX_SIGNING_KEY"], "")
        assert not is_authentic("telnyx", sent.body, dict(sent.headers), key)
        assert is_authentic("telnyx", sent.body, dict(sent.headers), key, pair["TELNYX_PUBLIC_KEY"])
        assert key == "A" * 44 or platforms()["telnyx"].secret_problem(key)
