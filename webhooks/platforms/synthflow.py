"""Synthflow's inbound call webhook: https://docs.synthflow.ai/inbound-webhook-api"""

import base64
import hmac
import json
from collections.abc import Sequence
from urllib.parse import parse_qs

from airtable_sync.lookup.answer import Answer
from siftly.server.http import Request, Response, json_response
from webhooks.platforms.authentication import bearer_token, is_one_of
from webhooks.platforms.base import ANONYMOUS, Call, MalformedCall, NotACall, Platform
from webhooks.platforms.parsing import json_object, member, optional_text
from webhooks.platforms.variable_names import placeholder_rule

# Its documentation names HTTP_SYNTHFLOW_SIGNATURE, as Python's servers call the first one.
_SIGNATURE_HEADERS = ("Synthflow-Signature", "Synthflow_Signature", "HTTP_SYNTHFLOW_SIGNATURE")


class Synthflow(Platform):
    name = "synthflow"
    secrets_setting = "SYNTHFLOW_WEBHOOK_SECRET"
    signing_setting = secrets_setting
    deadline_seconds = 5.0  # Synthflow does not document its limit
    # https://docs.synthflow.ai/variables: the placeholder has single braces.
    name_rule = placeholder_rule(
        "call_id", "user_phone_number", "from_phone_number", "to_phone_number"
    )
    used_settings = frozenset({"agent_id"})

    def is_authentic(self, request: Request, body: bytes) -> bool:
        """Synthflow signs only the call's id, which its inbound event may lack. So the secret
        itself is accepted too. docs/understanding/threats.md describes the consequences."""
        token = parse_qs(request.query).get("token", [""])[0]
        return (
            is_one_of(bearer_token(request), self.secrets)
            or is_one_of(token, self.secrets)
            or _is_signed(request, body, self.secrets)
        )

    def parse_call(self, body: bytes) -> Call:
        event = json_object(body)
        if "call" in event and "event" not in event:  # the event after a call has no name
            raise NotACall
        if (kind := member(event, "event", str, "event")) != "call_inbound":
            raise NotACall(kind)
        inbound = member(event, "call_inbound", dict, "call_inbound")
        to_number = member(inbound, "to_number", str, "call_inbound.to_number")
        caller = optional_text(inbound, "from_number")
        return Call(to_number, call_id=optional_text(inbound, "call_id"), from_number=caller)

    def response(self, call: Call, answer: Answer) -> Response:
        # An empty `call_inbound` ends the call. An empty agent id keeps the agent that was called.
        inbound = {
            "override_model_id": answer.settings.get("agent_id", ""),
            "custom_variables": answer.variables,
            "metadata": {"source": "siftly"},
        }
        return json_response({"call_inbound": inbound})

    def sample_body(self, to_number: str, from_number: str = ANONYMOUS) -> bytes:
        inbound = {"call_id": "call_sandbox", "from_number": from_number, "to_number": to_number}
        return json.dumps({"event": "call_inbound", "call_inbound": inbound}).encode()

    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        try:
            return {"Synthflow-Signature": _signature(_call_id(body), secret)}
        except ValueError:
            return {"Authorization": f"Bearer {secret}"}


def _is_signed(request: Request, body: bytes, secrets: Sequence[str]) -> bool:
    """https://docs.synthflow.ai/webhooks-security"""
    headers = (request.headers.get(name) for name in _SIGNATURE_HEADERS)
    if not (signature := next(filter(None, headers), "")):
        return False
    try:
        call_id = _call_id(body)
    except ValueError:
        return False
    return is_one_of(signature, [_signature(call_id, secret) for secret in secrets])


def _call_id(body: bytes) -> bytes:
    """Raises ValueError if there is none. Synthflow does not document its place in the event."""
    event = json_object(body)
    for holder in (event, event.get("call_inbound"), event.get("call")):
        call_id = holder.get("call_id") if isinstance(holder, dict) else None
        if call_id and isinstance(call_id, str):
            return call_id.encode()
    raise MalformedCall("call_id is missing.")


def _signature(call_id: bytes, secret: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), call_id, "sha256")).decode()
