"""Twilio's signature over the public address and the form's fields, compared with its SDK."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from tests.support.platforms import SECRET, TEXT, is_authentic
from tests.support.services import platforms


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

    @given(TEXT)
    def test_the_sdk_accepts_what_place_call_signs(self, number: str) -> None:
        from twilio.request_validator import RequestValidator

        sent = platforms()["twilio"].outgoing_call(number, "12345", self.ADDRESS)
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
            ("https://a.example/myapp.php/?foo=1&bar=2", "https://a.example", {}),
            ("https://a.example:443/myapp.php/?foo=1&bar=2", "https://a.example", {}),
        ],
    )
    def test_the_signed_address_is_the_public_one(
        self, signed: str, public_url: str | None, headers: dict[str, str], settings: Any
    ) -> None:
        from twilio.request_validator import RequestValidator

        settings.GIVEN_PUBLIC_URL = public_url
        signature = RequestValidator("12345").compute_signature(signed, QueryDict(self.VECTOR))
        proto = signed.partition(":")[0]
        assert self.accepts(signature, X_Forwarded_Proto=proto, **headers)
        other = signed.replace(".php", ".asp")
        forged = RequestValidator("12345").compute_signature(other, QueryDict(self.VECTOR))
        assert not self.accepts(forged, X_Forwarded_Proto=proto, **headers)

    def test_another_scheme_is_rejected(self) -> None:
        assert not self.accepts("0/KCTR6DLpKmkAf8muzZqo1nDgQ=", X_Forwarded_Proto="http")

    @pytest.mark.parametrize("host", ["", "[", "a:b", "a:99999", "é", "a b", "a@b:1"])
    def test_a_malformed_host_is_rejected(self, host: str) -> None:
        assert not self.accepts("0/KCTR6DLpKmkAf8muzZqo1nDgQ=", Host=host)
