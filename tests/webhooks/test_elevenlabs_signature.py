"""How ElevenLabs authenticates its requests, compared with its SDK."""

import hashlib
import hmac
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.platforms import NOW, SECRET, TEXT, is_authentic


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(time, "time", lambda: float(NOW))
    return NOW


class TestElevenLabs:
    @pytest.mark.parametrize("name", ["X-Webhook-Secret", "x-webhook-secret"])
    def test_the_secret_itself_is_accepted(self, name: str) -> None:
        assert is_authentic("elevenlabs", b"", {name: "s3cret"}, "old", "s3cret")
        assert is_authentic("elevenlabs", b"", {"Authorization": "Bearer s3cret"}, "s3cret")
        both = {name: "s3cret", "Authorization": "Bearer from-a-proxy"}
        assert is_authentic("elevenlabs", b"", both, "s3cret")
        for wrong in ("", "s3cre", "s3cret ", "S3CRET", "s3cret,s3cret"):
            assert not is_authentic("elevenlabs", b"", {name: wrong}, "s3cret", "other")

    @given(st.dictionaries(TEXT, TEXT), SECRET, st.sampled_from([0, -60, -1790, -1810]))
    def test_events_are_accepted_as_the_sdk_accepts_them(
        self, event: dict[str, str], secret: str, seconds: int
    ) -> None:
        from elevenlabs.errors import BadRequestError
        from elevenlabs.webhooks_custom import WebhooksClient

        body, timestamp = json.dumps(event), str(int(time.time()) + seconds)
        digest = hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256)
        header = f"t={timestamp},v0={digest.hexdigest()}"
        client = WebhooksClient.__new__(WebhooksClient)

        def sdk_accepts(text: str) -> bool:
            try:
                client.construct_event(text, header, secret)
            except BadRequestError:
                return False
            return True

        for text in (body, body + " "):
            ours = is_authentic("elevenlabs", text, {"ElevenLabs-Signature": header}, "x", secret)
            assert ours == sdk_accepts(text) == (text == body and seconds > -1800)

    def test_an_event_from_the_future_is_rejected_although_the_sdk_accepts_it(
        self, frozen: int
    ) -> None:
        signed = hmac.new(b"s", f"{frozen + 1801}.{{}}".encode(), "sha256").hexdigest()
        header = f"t={frozen + 1801},v0={signed}"
        assert not is_authentic("elevenlabs", "{}", {"ElevenLabs-Signature": header}, "s")
