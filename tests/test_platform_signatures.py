"""What proves a call authentic, against each vendor's own SDK where it has a verifier."""

import base64
import hashlib
import hmac
import importlib.util
import json
import time
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from django.test import RequestFactory
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from webhooks.platforms import PLATFORMS
from webhooks.platforms.proofs import is_one_of

TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)
SECRET = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
NOW = 1_800_000_000


def is_authentic(
    name: str, body: bytes | str, headers: dict[str, str], *secrets: str, path: str = "/"
) -> bool:
    raw = body.encode() if isinstance(body, str) else body
    request = RequestFactory().post(path, headers=headers)
    return PLATFORMS[name].is_authentic(request, raw, secrets)


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(time, "time", lambda: float(NOW))
    return NOW


class TestTwilio:
    ADDRESS = "https://mycompany.com/myapp.php?foo=1&bar=2"
    VECTOR = urlencode(
        {
            "CallSid": "CA1234567890ABCDE",
            "Caller": "+12349013030",
            "Digits": "1234",
            "From": "+12349013030",
            "To": "+18005551212",
        }
    )
    PUBLIC = {"Host": "mycompany.com", "X-Forwarded-Proto": "https"}

    def accepts(self, signature: str, body: str = VECTOR, **headers: str) -> bool:
        sent = {**self.PUBLIC, "X-Twilio-Signature": signature}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return is_authentic("twilio", body, sent, "12345", path="/myapp.php?foo=1&bar=2")

    def test_the_reference_vectors_pass(self) -> None:
        assert self.accepts("0/KCTR6DLpKmkAf8muzZqo1nDgQ=")
        how = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
        sha256 = "Rmm4Vzj+Ky7JGoWXMCsZDZuHDszLr9xvdbvitrDr4/M="
        assert self.accepts(sha256, X_Twilio_Webhooks_Signature_Settings=how)
        assert not self.accepts(sha256)
        assert not self.accepts("0/KCTR6DLpKmkAf8muzZqo1nDgQ=", self.VECTOR + "&x=y")

    @hypothesis_settings(deadline=None)
    @given(st.lists(st.tuples(TEXT, TEXT), max_size=8), SECRET)
    def test_what_the_sdk_signs_is_authentic(
        self, fields: list[tuple[str, str]], token: str
    ) -> None:
        from twilio.request_validator import RequestValidator

        body = urlencode(fields)
        signature = RequestValidator(token).compute_signature(self.ADDRESS, QueryDict(body))
        sent = {**self.PUBLIC, "X-Twilio-Signature": signature}
        path = "/myapp.php?foo=1&bar=2"
        assert is_authentic("twilio", body, sent, "other", token, path=path)
        assert not is_authentic("twilio", body + "&To=1", sent, token, path=path)
        assert not is_authentic("twilio", body, sent, token, path="/myapp.php?foo=1")

    @hypothesis_settings(deadline=None)
    @given(TEXT)
    def test_the_sdk_accepts_what_place_call_signs(self, number: str) -> None:
        from twilio.request_validator import RequestValidator

        sent = PLATFORMS["twilio"].place(number, "12345", self.ADDRESS)
        signature, fields = sent.headers["X-Twilio-Signature"], QueryDict(sent.body)
        assert RequestValidator("12345").validate(self.ADDRESS, fields, signature)

    @pytest.mark.parametrize(
        ("signed", "public_url", "headers"),
        [
            ("https://a.example/myapp.php?foo=1&bar=2", "https://a.example", {}),
            ("https://a.example/myapp.php?foo=1&bar=2", "https://a.example/", {}),
            ("https://a.example/sub/myapp.php?foo=1&bar=2", "https://a.example/sub", {}),
            ("https://a.example:443/myapp.php?foo=1&bar=2", "https://a.example", {}),
            ("https://a.example:8443/myapp.php?foo=1&bar=2", "https://a.example:8443", {}),
            ("https://a.example/myapp.php?foo=1&bar=2", "https://a.example:8443", {}),
            ("https://b.example:80/myapp.php?foo=1&bar=2", None, {"Host": "b.example:80"}),
            ("http://b.example:80/myapp.php?foo=1&bar=2", None, {"Host": "b.example"}),
            ("https://[::1]:443/myapp.php?foo=1&bar=2", None, {"Host": "[::1]"}),
        ],
    )
    def test_the_address_is_the_one_twilio_knows(
        self, signed: str, public_url: str | None, headers: dict[str, str], settings: Any
    ) -> None:
        from twilio.request_validator import RequestValidator

        settings.PUBLIC_URL = public_url
        signature = RequestValidator("12345").compute_signature(signed, QueryDict(self.VECTOR))
        proto = signed.partition(":")[0]
        assert self.accepts(signature, X_Forwarded_Proto=proto, **headers)
        other = signed.replace(".php", ".asp")
        forged = RequestValidator("12345").compute_signature(other, QueryDict(self.VECTOR))
        assert not self.accepts(forged, X_Forwarded_Proto=proto, **headers)

    def test_the_scheme_is_part_of_it(self) -> None:
        assert not self.accepts("0/KCTR6DLpKmkAf8muzZqo1nDgQ=", X_Forwarded_Proto="http")

    @pytest.mark.parametrize("host", ["", "[", "a:b", "a:99999", "é", "a b", "a@b:1"])
    def test_no_host_crashes_it(self, host: str) -> None:
        assert not self.accepts("0/KCTR6DLpKmkAf8muzZqo1nDgQ=", Host=host)


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

    @hypothesis_settings(deadline=None)
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

    @hypothesis_settings(deadline=None)
    @given(TEXT)
    def test_the_sdk_accepts_what_place_call_signs(self, number: str) -> None:
        from standardwebhooks import Webhook

        sent = PLATFORMS["standard"].place(number, self.SECRET, "")
        Webhook(self.SECRET).verify(sent.body, dict(sent.headers))

    def test_who_cannot_sign_sends_the_secret(self) -> None:
        headers = {"Authorization": f"Bearer {self.SECRET}"}
        assert is_authentic("standard", "", headers, self.SECRET)
        assert not is_authentic("standard", "", {"Authorization": "Bearer x"}, self.SECRET)

    @pytest.mark.parametrize("secret", ["whsec_", "whsec_=", "whsec_%", "whsec_A", "é"])
    def test_a_secret_that_is_none_signs_nothing(self, secret: str, frozen: int) -> None:
        signed = hmac.digest(b"", f"msg_1.{frozen}.{{}}".encode(), "sha256")
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(frozen),
            "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        }
        assert not is_authentic("standard", "{}", headers, secret)
        assert PLATFORMS["standard"].problem_with(secret)


@lru_cache
def telnyx_sdk() -> Any:
    """Its verifier, one file of it: all of the SDK takes five seconds to import."""
    package = importlib.util.find_spec("telnyx")
    assert package
    assert package.submodule_search_locations
    path = Path(package.submodule_search_locations[0]) / "lib/webhook_verification.py"
    spec = importlib.util.spec_from_file_location("telnyx_webhook_verification", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def telnyx_accepts(body: bytes, headers: dict[str, str], key: str) -> bool:
    sdk = telnyx_sdk()
    try:
        sdk.verify_webhook_signature(body, headers, key)
    except sdk.WebhookVerificationError:
        return False
    return True


class TestTelnyx:
    def test_the_sdk_accepts_what_place_call_signs(self) -> None:
        pair = PLATFORMS["telnyx"].stand_in()
        sent = PLATFORMS["telnyx"].place("+32460234291", pair["TELNYX_SIGNING_KEY"], "")
        assert telnyx_accepts(sent.body, dict(sent.headers), pair["TELNYX_PUBLIC_KEY"])

    @hypothesis_settings(deadline=None)
    @given(TEXT, st.integers(-400, 400), st.booleans())  # of bytes, the SDK takes UTF-8 only
    def test_it_accepts_what_the_sdk_accepts(self, text: str, seconds: int, forged: bool) -> None:
        from nacl.signing import SigningKey

        key = SigningKey.generate()
        public = base64.b64encode(bytes(key.verify_key)).decode()
        body, timestamp = text.encode(), str(int(time.time()) + seconds)
        if abs(abs(seconds) - 300) < 2:
            return  # the clock moves between the two
        signed = key.sign(f"{timestamp}|".encode() + body).signature
        headers = {
            "Telnyx-Timestamp": timestamp,
            "Telnyx-Signature-Ed25519": base64.b64encode(signed).decode(),
        }
        sent = body + b"x" if forged else body
        other = PLATFORMS["telnyx"].stand_in()["TELNYX_PUBLIC_KEY"]
        ours = is_authentic("telnyx", sent, headers, other, public)
        assert ours == telnyx_accepts(sent, headers, public)
        assert ours == (not forged and abs(seconds) < 300)

    @pytest.mark.parametrize("key", ["", "x", "é", "AAAA", "A" * 44, "whsec_x", "=" * 44])
    def test_a_key_that_is_none_verifies_nothing(self, key: str) -> None:
        pair = PLATFORMS["telnyx"].stand_in()
        sent = PLATFORMS["telnyx"].place("1", pair["TELNYX_SIGNING_KEY"], "")
        assert not is_authentic("telnyx", sent.body, dict(sent.headers), key)
        assert is_authentic("telnyx", sent.body, dict(sent.headers), key, pair["TELNYX_PUBLIC_KEY"])
        assert key == "A" * 44 or PLATFORMS["telnyx"].problem_with(key)


class TestElevenLabs:
    @pytest.mark.parametrize("name", ["X-Webhook-Secret", "x-webhook-secret"])
    def test_the_secret_itself_is_accepted(self, name: str) -> None:
        assert is_authentic("elevenlabs", b"", {name: "s3cret"}, "old", "s3cret")
        assert is_authentic("elevenlabs", b"", {"Authorization": "Bearer s3cret"}, "s3cret")
        both = {name: "s3cret", "Authorization": "Bearer from-a-proxy"}
        assert is_authentic("elevenlabs", b"", both, "s3cret")
        for wrong in ("", "s3cre", "s3cret ", "S3CRET", "s3cret,s3cret"):
            assert not is_authentic("elevenlabs", b"", {name: wrong}, "s3cret", "other")

    @hypothesis_settings(deadline=None)  # the import takes its time
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

    def test_an_event_from_the_future_is_refused_where_the_sdk_accepts_it(
        self, frozen: int
    ) -> None:
        signed = hmac.new(b"s", f"{frozen + 1801}.{{}}".encode(), "sha256").hexdigest()
        header = f"t={frozen + 1801},v0={signed}"
        assert not is_authentic("elevenlabs", "{}", {"ElevenLabs-Signature": header}, "s")


class TestVapi:
    def test_any_one_of_its_three_ways_is_enough(self) -> None:
        assert is_authentic("vapi", b"", {"Authorization": "Bearer s3cret"}, "s3cret")
        assert is_authentic("vapi", b"", {"X-Vapi-Secret": "s3cret"}, "old", "s3cret")
        wrong = {"Authorization": "Bearer x", "X-Vapi-Secret": "x", "X-Signature": "x"}
        assert not is_authentic("vapi", b"", wrong, "s3cret")
        assert is_authentic("vapi", b"", wrong | {"X-Vapi-Secret": "s3cret"}, "s3cret")

    @given(TEXT, SECRET, st.sampled_from([1, 1000]))
    def test_a_signature_may_tell_seconds_or_milliseconds(
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
    def test_five_minutes_are_its_life(self, frozen: int, away: int, unit: int) -> None:
        for seconds, accepted in ((away, False), (away - away // abs(away), True)):
            timestamp = str((frozen + seconds) * unit)
            signed = hmac.new(b"s", f"{timestamp}.".encode(), "sha256").hexdigest()
            headers = {"X-Timestamp": timestamp, "X-Signature": signed}
            assert is_authentic("vapi", b"", headers, "s") is accepted


class TestSynthflow:
    def signed(self, call_id: str, secret: str = "s3cret") -> dict[str, str]:
        digest = hmac.new(secret.encode(), call_id.encode(), hashlib.sha256).digest()
        return {"Synthflow-Signature": base64.b64encode(digest).decode()}

    @given(TEXT.filter(bool), SECRET, st.sampled_from(["call_inbound", "call", ""]))
    def test_the_calls_id_is_signed_wherever_it_is(
        self, call_id: str, secret: str, where: str
    ) -> None:
        event = {where: {"call_id": call_id}} if where else {"call_id": call_id}
        headers = self.signed(call_id, secret)
        assert is_authentic("synthflow", json.dumps(event), headers, "other", secret)
        other = json.dumps(event | {"call_id": call_id + "x"})
        assert not is_authentic("synthflow", other, headers, secret)

    @pytest.mark.parametrize("call_id", ['""', "null", "5", "[]", r'"\ud800"'])
    def test_what_is_no_id_is_not_signed(self, call_id: str) -> None:
        body = f'{{"call_id": {call_id}}}'
        assert not is_authentic("synthflow", body, self.signed(""), "s3cret")
        assert not is_authentic("synthflow", body, self.signed("None"), "s3cret")

    @pytest.mark.parametrize("body", ["", "[]", "{}", "\ud800"])
    def test_without_an_id_only_the_secret_itself_counts(self, body: str) -> None:
        raw = body.encode("utf-8", "surrogatepass")
        assert not is_authentic("synthflow", raw, self.signed(""), "s3cret")
        assert is_authentic("synthflow", raw, {"Authorization": "Bearer s3cret"}, "s3cret")
        assert is_authentic("synthflow", raw, {}, "a b", "s3cret", path="/?x=1&token=s3cret")
        assert is_authentic("synthflow", raw, {}, "a&b", path="/?token=a%26b")
        for query in ("token=", "token=x", "token", "token=s3cret2", "", "=&&;", "%ff=%ff"):
            assert not is_authentic("synthflow", raw, {}, "s3cret", path=f"/?{query}")


def test_all_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(given: bytes, expected: bytes) -> bool:
        compared.append(expected)
        return given == expected

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert is_one_of("a", ["a", "b", "c"])
    assert compared == [b"a", b"b", b"c"]
