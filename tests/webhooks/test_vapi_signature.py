"""Vapi's three methods to authenticate a call."""

import hashlib
import hmac
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.platforms import NOW, SECRET, TEXT, is_authentic


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(time, "time", lambda: float(NOW))
    return NOW


class TestVapi:
    def test_any_one_of_the_three_methods_is_enough(self) -> None:
        assert is_authentic("vapi", b"", {"Authorization": "Bearer s3cret"}, "s3cret")
        assert is_authentic("vapi", b"", {"X-Vapi-Secret": "s3cret"}, "old", "s3cret")
        wrong = {"Authorization": "Bearer x", "X-Vapi-Secret": "x", "X-Signature": "x"}
        assert not is_authentic("vapi", b"", wrong, "s3cret")
        assert is_authentic("vapi", b"", wrong | {"X-Vapi-Secret": "s3cret"}, "s3cret")

    @given(TEXT, SECRET, st.sampled_from([1, 1000]))
    def test_a_timestamp_may_be_in_seconds_or_milliseconds(
        self, body: str, secret: str, unit: int
    ) -> None:
        timestamp = str(int(time.time() * unit))
        digest = hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256)
        headers = {"X-Timestamp": timestamp, "X-Signature": digest.hexdigest()}
        assert is_authentic("vapi", body, headers, "other", secret)
        assert not is_authentic("vapi", body + " ", headers, secret)
        assert not is_authentic("vapi", body, headers, secret + "x")

    @pytest.mark.parametrize("away", [-301, 301])
    @pytest.mark.parametrize("unit", [1, 1000])
    def test_a_signature_is_valid_for_five_minutes(self, frozen: int, away: int, unit: int) -> None:
        for seconds, accepted in ((away, False), (away - away // abs(away), True)):
            timestamp = str((frozen + seconds) * unit)
            signed = hmac.new(b"s", f"{timestamp}.".encode(), "sha256").hexdigest()
            headers = {"X-Timestamp": timestamp, "X-Signature": signed}
            assert is_authentic("vapi", b"", headers, "s") is accepted


def test_a_bearer_token_without_bearer_before_it_is_accepted() -> None:
    """A credential's "Include Bearer Prefix" can be off."""
    assert is_authentic("vapi", b"{}", {"Authorization": "secret"}, "other", "secret")
    assert not is_authentic("vapi", b"{}", {"Authorization": "wrong"}, "secret")
