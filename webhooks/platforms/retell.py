"""Retell AI's inbound call webhook: https://docs.retellai.com/features/inbound-call-webhook"""

import json
import re
import time
from typing import Any

from airtable_sync.lookup.answer import Answer
from siftly.server.http import Request, Response, json_response
from webhooks.platforms.authentication import is_one_of, is_recent, sha256_hmac
from webhooks.platforms.base import ANONYMOUS, Call, NotACall, Platform
from webhooks.platforms.number_settings import chosen, is_ticked, json_setting
from webhooks.platforms.parsing import json_object, member, optional_text
from webhooks.platforms.variable_names import placeholder_rule

_SIGNATURE = re.compile(r"v=([1-9][0-9]{0,19}),d=([0-9a-f]{64})")
_KINDS = ("call_inbound", "chat_inbound")


class Retell(Platform):
    name = "retell"
    secrets_setting = "RETELL_API_KEY"
    signing_setting = secrets_setting
    deadline_seconds = 9.0  # Retell's limit is 10, with up to three tries
    used_settings = frozenset({"agent_id", "agent_version", "agent_override", "reject"})
    # https://docs.retellai.com/build/dynamic-variables: blanks around a name are removed.
    name_rule = placeholder_rule(
        "current_agent_state",
        "previous_agent_state",
        "current_time",
        "current_hour",
        "current_calendar",
        "session_type",
        "session_duration",
        "direction",
        "user_number",
        "agent_number",
        "call_id",
        "call_type",
    )

    def is_authentic(self, request: Request, body: bytes) -> bool:
        """`X-Retell-Signature: v=<ms>,d=<hex>`, over the raw body and the time, with the API key.
        https://docs.retellai.com/features/secure-webhook"""
        signature = _SIGNATURE.fullmatch(request.headers.get("X-Retell-Signature", ""))
        if not signature:
            return False
        sent_at, digest = signature.groups()
        if not is_recent(int(sent_at) / 1000):
            return False
        signed = body + sent_at.encode()
        return is_one_of(digest, [sha256_hmac(secret, signed) for secret in self.secrets])

    def parse_call(self, body: bytes) -> Call:
        event = json_object(body)
        kind = member(event, "event", str, "event")
        if kind not in _KINDS:
            raise NotACall(kind)
        inbound = member(event, kind, dict, kind)
        to_number = member(inbound, "to_number", str, f"{kind}.to_number")
        # Not every version of the API sends a call id.
        call_id, caller = optional_text(inbound, "call_id"), optional_text(inbound, "from_number")
        return Call(to_number, kind, call_id, caller)

    def response(self, call: Call, answer: Answer) -> Response:
        inbound: dict[str, Any] = {
            "dynamic_variables": answer.variables,
            "metadata": {
                "source": "siftly",
                "to_number": answer.number or call.to_number,
                "customer_known": answer.is_known,
            },
        }
        inbound |= chosen(answer, override_agent_id="agent_id")
        if version := answer.settings.get("agent_version"):  # a number, or the name of a tag
            inbound["override_agent_version"] = int(version) if _is_number(version) else version
        if override := json_setting(answer, "agent_override"):
            inbound["agent_override"] = override
        if is_ticked(answer, "reject"):  # only a boolean rejects
            inbound["reject"] = True
        return json_response({call.kind: inbound})

    def acknowledgement(self) -> Response:
        return Response(status=204)

    def sample_body(self, to_number: str, from_number: str = ANONYMOUS) -> bytes:
        inbound = {"agent_id": "agent_sandbox", "from_number": from_number, "to_number": to_number}
        return json.dumps({"event": "call_inbound", "call_inbound": inbound}).encode()

    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        now = int(time.time() * 1000)
        return {"X-Retell-Signature": f"v={now},d={_digest(body, now, secret)}"}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _digest(body: bytes, sent_at: int, secret: str) -> str:
    return sha256_hmac(secret, body + str(sent_at).encode())
