"""Signatures by Standard Webhooks, compared with the reference library."""

import base64
import hmac
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.platforms import NOW, TEXT, is_authentic
from tests.support.services import platforms


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(time, "time", lambda: float(NOW))
    return NOW


class TestStandard:
    SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    BODY = '{"test": 2432232314}'
    HEADERS = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }

    def test_the_reference_vector_passes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(time, "time", lambda: 1614265330.0)
        assert is_authentic("standard", self.BODY, self.HEADERS, self.SECRET)
        assert is_authentic("standard", self.BODY, self.HEADERS, self.SECRET[6:])
        assert not is_authentic("standard", self.BODY + " ", self.HEADERS, self.SECRET)

    @given(TEXT, st.binary(min_size=1, max_size=64))
    def test_what_the_sdk_signs_is_authentic(self, body: str, key: bytes) -> None:
        from standardwebhooks import Webhook

        now = datetime.now(tz=UTC)
        signature = Webhook(key).sign("msg_1", now, body)
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": f"v1a,x v1,AAAA nonsense {signature}",
        }
        secret = "whsec_" + base64.b64encode(key).decode()
        assert is_authentic("standard", body, headers, self.SECRET, secret)
        assert is_authentic("standard", body, headers, secret.rstrip("="))
        assert not is_authentic("standard", body + "x", headers, secret)
        assert not is_authentic("standard", body, headers | {"webhook-id": "msg_2"}, secret)

    @given(TEXT)
    def test_the_sdk_accepts_what_place_call_signs(self, number: str) -> None:
        from standardwebhooks import Webhook

        sent = platforms()["standard"].outgoing_call(number, self.SECRET, "")
        Webhook(self.SECRET).verify(sent.body, dict(sent.headers))

    def test_the_secret_itself_is_accepted(self) -> None:
        headers = {"Authorization": f"Bearer {self.SECRET}"}
        assert is_authentic("standard", "", headers, self.SECRET)
        assert not is_authentic("standard", "", {"Authorization": "Bearer x"}, self.SECRET)

    @pytest.mark.parametrize("secret", ["whsec_", "whsec_=", "whsec_%", "whsec_A", "é"])
    def test_a_malformed_secret_accepts_no_signature(self, secret: str, frozen: int) -> None:
        signed = hmac.digest(b"", f"msg_1.{frozen}.{{}}".encode(), "sha256")
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(frozen),
            "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        }
        assert not is_authentic("standard", "{}", headers, secret)
        assert platforms()["standard"].secret_problem(secret)
