"""ElevenLabs Agents' conversation initiation webhook:
https://elevenlabs.io/docs/eleven-agents/customization/personalization/twilio-personalization"""

import json
import re
from collections.abc import Sequence
from typing import Any

from airtable_sync.lookup.answer import Answer
from siftly.server.http import Request, Response, json_response
from webhooks.platforms.authentication import bearer_token, is_one_of, is_recent, sha256_hmac
from webhooks.platforms.base import ANONYMOUS, Call, NotACall, Platform
from webhooks.platforms.number_settings import chosen, without_empty
from webhooks.platforms.parsing import fields_of, member, optional_text
from webhooks.platforms.variable_names import placeholder_rule

TOLERANCE_SECONDS = 30 * 60
_SIGNATURE = re.compile(r"t=([0-9]{1,20}),v0=([0-9a-f]{64})")


class ElevenLabs(Platform):
    name = "elevenlabs"
    secrets_setting = "ELEVENLABS_WEBHOOK_SECRET"
    signing_setting = secrets_setting
    deadline_seconds = 5.0  # "a reasonable timeout", while Twilio waits for ElevenLabs
    # https://elevenlabs.io/docs/eleven-agents/customization/personalization/dynamic-variables
    reserved = re.compile("system__")
    name_rule = placeholder_rule(prefix="system__")
    used_settings = frozenset(
        {"first_message", "language", "prompt", "voice_id", "branch_id", "environment", "user_id"}
    )

    def is_authentic(self, request: Request, body: bytes) -> bool:
        """The request before a call has the secret itself, in a header that is set up at
        ElevenLabs. Only events after a call are signed."""
        return (
            is_one_of(request.headers.get("X-Webhook-Secret", ""), self.secrets)
            or is_one_of(bearer_token(request), self.secrets)
            or _is_signed(request, body, self.secrets)
        )

    def parse_call(self, body: bytes) -> Call:
        event = fields_of(body)
        if "type" in event and "called_number" not in event:
            raise NotACall(event["type"])
        to_number = member(event, "called_number", str, "called_number")
        caller = optional_text(event, "caller_id")
        return Call(to_number, call_id=optional_text(event, "call_sid"), from_number=caller)

    def response(self, call: Call, answer: Answer) -> Response:
        # Without the type the conversation does not start, and nobody sees an error.
        kind = "conversation_initiation_client_data"
        content = {"type": kind, "dynamic_variables": answer.variables}
        return json_response({**content, **_overrides(answer)})

    def sample_body(self, to_number: str, from_number: str = ANONYMOUS) -> bytes:
        call = {
            "caller_id": from_number,
            "agent_id": "agent_sandbox",
            "called_number": to_number,
            "call_sid": "CA00000000000000000000000000000000",
        }
        return json.dumps(call).encode()

    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        return {"X-Webhook-Secret": secret}


def _overrides(answer: Answer) -> dict[str, Any]:
    """Only what is set: an override that the agent's security tab forbids ends the conversation."""
    agent: dict[str, Any] = dict(chosen(answer, first_message="first_message", language="language"))
    agent["prompt"] = chosen(answer, prompt="prompt")
    tts = chosen(answer, voice_id="voice_id")
    override = without_empty({"agent": without_empty(agent), "tts": tts})
    own = chosen(answer, branch_id="branch_id", environment="environment", user_id="user_id")
    return without_empty({"conversation_config_override": override, **own})


def _is_signed(request: Request, body: bytes, secrets: Sequence[str]) -> bool:
    """`ElevenLabs-Signature: t=<s>,v0=<hex>`, over the time and the raw body.
    https://elevenlabs.io/docs/eleven-agents/workflows/post-call-webhooks"""
    signature = _SIGNATURE.fullmatch(request.headers.get("ElevenLabs-Signature", ""))
    if not signature or not is_recent(int(signature[1]), TOLERANCE_SECONDS):
        return False
    signed = f"{signature[1]}.".encode() + body
    expected = [sha256_hmac(secret, signed) for secret in secrets]
    return is_one_of(signature[2], expected)
