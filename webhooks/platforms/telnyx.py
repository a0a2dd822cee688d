"""Telnyx AI Assistants' dynamic variables webhook:
https://developers.telnyx.com/docs/inference/ai-assistants/dynamic-variables"""

import base64
import json
import re
import time
from collections.abc import Sequence

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from airtable_sync.lookup.answerer import Answer
from siftly.server.http import Request, Response, json_response
from webhooks.platforms.authentication import is_recent
from webhooks.platforms.base import Call, NotACall, Platform, call_id_in, json_object, member

_TIMESTAMP = re.compile("[0-9]{1,20}")


class Telnyx(Platform):
    name = "telnyx"
    secrets_setting = "TELNYX_PUBLIC_KEY"
    signing_setting = "TELNYX_SIGNING_KEY"
    deadline_seconds = 1.2  # Telnyx gives up after 1.5, unless told otherwise
    reserved = re.compile("telnyx_")

    def is_authentic(self, request: Request, body: bytes, secrets: Sequence[str]) -> bool:
        """`Telnyx-Signature-Ed25519`, base64, over the time and the raw body.
        https://developers.telnyx.com/development/api-fundamentals/webhooks/receiving-webhooks"""
        timestamp = request.headers.get("Telnyx-Timestamp", "")
        if not _TIMESTAMP.fullmatch(timestamp) or not is_recent(int(timestamp)):
            return False
        signature = request.headers.get("Telnyx-Signature-Ed25519", "")
        signed = f"{timestamp}|".encode() + body
        return any(_is_signature(signature, signed, key) for key in secrets)  # keys are public

    def call_in(self, body: bytes) -> Call:
        data = member(json_object(body), "data", dict, "data")
        kind = member(data, "event_type", str, "data.event_type")
        if kind != "assistant.initialization":
            raise NotACall(kind)
        payload = member(data, "payload", dict, "data.payload")
        path = "data.payload.telnyx_agent_target"
        to_number = member(payload, "telnyx_agent_target", str, path)
        return Call(to_number, call_id=call_id_in(payload, "call_control_id"))

    def response(self, call: Call, answer: Answer) -> Response:
        return json_response({"dynamic_variables": answer.variables})  # flat, it would be ignored

    def body(self, to_number: str) -> bytes:
        payload = {
            "telnyx_conversation_channel": "phone_call",
            "telnyx_agent_target": to_number,
            "telnyx_end_user_target": "anonymous",
        }
        event = {"record_type": "event", "event_type": "assistant.initialization"}
        return json.dumps({"data": {**event, "payload": payload}}).encode()

    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        now = str(int(time.time()))
        signature = SigningKey(base64.b64decode(secret)).sign(f"{now}|".encode() + body).signature
        signed = base64.b64encode(signature).decode()
        return {"Telnyx-Timestamp": now, "Telnyx-Signature-Ed25519": signed}

    def problem_with(self, secret: str) -> str:
        try:
            VerifyKey(base64.b64decode(secret, validate=True))
        except ValueError:
            return "Not a public key: 32 bytes in base64, from Telnyx' Mission Control."
        return ""

    def stand_in(self) -> dict[str, str]:
        """Only Telnyx has the key that its calls are signed with: here is a pair of our own."""
        key = SigningKey.generate()
        pair = {self.secrets_setting: bytes(key.verify_key), self.signing_setting: bytes(key)}
        return {name: base64.b64encode(half).decode() for name, half in pair.items()}


def _is_signature(signature: str, signed: bytes, key: str) -> bool:
    try:
        VerifyKey(base64.b64decode(key)).verify(signed, base64.b64decode(signature))
    except (ValueError, BadSignatureError):  # no base64, or too short, is a ValueError
        return False
    return True
