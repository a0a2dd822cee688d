"""Synthflow signs the call's id, or sends the secret itself."""

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.platforms import SECRET, TEXT, is_authentic


class TestSynthflow:
    def signed(self, call_id: str, secret: str = "s3cret") -> dict[str, str]:
        digest = hmac.new(secret.encode(), call_id.encode(), hashlib.sha256).digest()
        return {"Synthflow-Signature": base64.b64encode(digest).decode()}

    @given(TEXT.filter(bool), SECRET, st.sampled_from(["call_inbound", "call", ""]))
    def test_the_signature_covers_the_calls_id_in_each_place(
        self, call_id: str, secret: str, where: str
    ) -> None:
        event = {where: {"call_id": call_id}} if where else {"call_id": call_id}
        headers = self.signed(call_id, secret)
        assert is_authentic("synthflow", json.dumps(event), headers, "other", secret)
        other = json.dumps(event | {"call_id": call_id + "x"})
        assert not is_authentic("synthflow", other, headers, secret)

    @pytest.mark.parametrize("call_id", ['""', "null", "5", "[]", r'"\ud800"'])
    def test_an_invalid_call_id_is_never_authentic(self, call_id: str) -> None:
        body = f'{{"call_id": {call_id}}}'
        assert not is_authentic("synthflow", body, self.signed(""), "s3cret")
        assert not is_authentic("synthflow", body, self.signed("None"), "s3cret")

    @pytest.mark.parametrize("body", ["", "[]", "{}", "\ud800"])
    def test_without_a_call_id_only_the_secret_itself_is_accepted(self, body: str) -> None:
        raw = body.encode("utf-8", "surrogatepass")
        assert not is_authentic("synthflow", raw, self.signed(""), "s3cret")
        assert is_authentic("synthflow", raw, {"Authorization": "Bearer s3cret"}, "s3cret")
        assert is_authentic("synthflow", raw, {}, "a b", "s3cret", path="/?x=1&token=s3cret")
        assert is_authentic("synthflow", raw, {}, "a&b", path="/?token=a%26b")
        for query in ("token=", "token=x", "token", "token=s3cret2", "", "=&&;", "%ff=%ff"):
            assert not is_authentic("synthflow", raw, {}, "s3cret", path=f"/?{query}")


@pytest.mark.parametrize("name", ["Synthflow_Signature", "HTTP_SYNTHFLOW_SIGNATURE"])
def test_the_header_may_be_written_with_underscores(name: str) -> None:
    """As the documentation writes it."""
    body = b'{"event": "call_inbound", "call_inbound": {"call_id": "c1"}}'
    signature = base64.b64encode(hmac.digest(b"secret", b"c1", "sha256")).decode()
    assert is_authentic("synthflow", body, {name: signature}, "secret")
