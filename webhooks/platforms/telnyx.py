"""Telnyx AI Assistants' dynamic variables webhook:
https://developers.telnyx.com/docs/inference/ai-assistants/dynamic-variables"""

import base64
import json
import re
import time

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from airtable_sync.lookup.answer import Answer
from siftly.server.http import Request, Response, json_response
from webhooks.platforms.authentication import is_recent
from webhooks.platforms.base import ANONYMOUS, Call, NotACall, Platform
from webhooks.platforms.number_settings import json_setting, without_empty
from webhooks.platforms.parsing import json_object, member, optional_text
from webhooks.platforms.variable_names import placeholder_rule

_TIMESTAMP = re.compile("[0-9]{1,20}")


class Telnyx(Platform):
    name = "telnyx"
    secrets_setting = "TELNYX_PUBLIC_KEY"
    signing_setting = "TELNYX_SIGNING_KEY"
    deadline_seconds = 1.2  # Telnyx' default limit is 1.5
    # https://developers.telnyx.com/docs/inference/ai-assistants/dynamic-variables
    reserved = re.compile("telnyx_")
    name_rule = placeholder_rule(prefix="telnyx_")
    used_settings = frozenset({"memory", "conversation"})

    def is_authentic(self, request: Request, body: bytes) -> bool:
        """`Telnyx-Signature-Ed25519`, base64, over the time and the raw body.
        https://developers.telnyx.com/development/api-fundamentals/webhooks/receiving-webhooks"""
        timestamp = request.headers.get("Telnyx-Timestamp", "")
        if not _TIMESTAMP.fullmatch(timestamp) or not is_recent(int(timestamp)):
            return False
        signature = request.headers.get("Telnyx-Signature-Ed25519", "")
        signed = f"{timestamp}|".encode() + body
        return any(
            _is_signature(signature, signed, key) for key in self.secrets
        )  # public: no constant time needed

    def parse_call(self, body: bytes) -> Call:
        data = member(json_object(body), "data", dict, "data")
        kind = member(data, "event_type", str, "data.event_type")
        if kind != "assistant.initialization":
            raise NotACall(kind)
        payload = member(data, "payload", dict, "data.payload")
        path = "data.payload.telnyx_agent_target"
        to_number = member(payload, "telnyx_agent_target", str, path)
        caller = optional_text(payload, "telnyx_end_user_target")
        call_id = optional_text(payload, "call_control_id")
        return Call(to_number, call_id=call_id, from_number=caller)

    def response(self, call: Call, answer: Answer) -> Response:
        # https://developers.telnyx.com/docs/inference/ai-assistants/memory
        more = {name: json_setting(answer, name) for name in ("memory", "conversation")}
        # Telnyx ignores variables that are not in an object of their own.
        return json_response({"dynamic_variables": answer.variables, **without_empty(more)})

    def sample_body(self, to_number: str, from_number: str = ANONYMOUS) -> bytes:
        payload = {
            "telnyx_conversation_channel": "phone_call",
            "telnyx_agent_target": to_number,
            "telnyx_end_user_target": from_number,
        }
        event = {"record_type": "event", "event_type": "assistant.initialization"}
        return json.dumps({"data": {**event, "payload": payload}}).encode()

    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        now = str(int(time.time()))
        signature = SigningKey(base64.b64decode(secret)).sign(f"{now}|".encode() + body).signature
        signed = base64.b64encode(signature).decode()
        return {"Telnyx-Timestamp": now, "Telnyx-Signature-Ed25519": signed}

    @staticmethod
    def secret_problem(secret: str) -> str:
        try:
            VerifyKey(base64.b64decode(secret, validate=True))
        except ValueError:
            return "It is not a public key: 32 bytes in base64, from Telnyx' Mission Control."
        return ""

    @classmethod
    def sandbox_variables(cls) -> dict[str, str]:
        """Only Telnyx has the private key of its calls: this makes a pair of our own."""
        key = SigningKey.generate()
        pair = {cls.secrets_setting: bytes(key.verify_key), cls.signing_setting: bytes(key)}
        return {name: base64.b64encode(half).decode() for name, half in pair.items()}


def _is_signature(signature: str, signed: bytes, key: str) -> bool:
    try:
        VerifyKey(base64.b64decode(key)).verify(signed, base64.b64decode(signature))
    except (ValueError, BadSignatureError):  # ValueError: not base64, or too short
        return False
    return True
