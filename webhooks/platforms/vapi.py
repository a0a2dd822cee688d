"""Vapi's `assistant-request` message: https://docs.vapi.ai/server-url/events"""

import json
import logging
import re
import time
from collections.abc import Sequence
from typing import Any

from django.conf import settings

from airtable_sync.lookup.answerer import Answer
from siftly.server.http import Request, Response, json_response
from webhooks.platforms.authentication import bearer, is_one_of, is_recent, sha256_hmac
from webhooks.platforms.base import (
    Call,
    MalformedCall,
    NotACall,
    Platform,
    call_id_in,
    json_object,
    member,
)

logger = logging.getLogger(__name__)

_TIMESTAMP = re.compile("[0-9]{1,20}")
_LARGEST_SECONDS = 10**11  # more is milliseconds: Vapi does not say which it sends


class Vapi(Platform):
    name = "vapi"
    secrets_setting = "VAPI_WEBHOOK_SECRET"
    deadline_seconds = 6.0  # Vapi gives up after 7.5, fixed, and its servers are in us-west-2
    reserved = re.compile(r"customer\Z")

    def is_authentic(self, request: Request, body: bytes, secrets: Sequence[str]) -> bool:
        """Whichever of its credentials is set up at Vapi, with the names it proposes.
        https://docs.vapi.ai/server-url/server-authentication"""
        return (
            is_one_of(bearer(request), secrets)
            or is_one_of(request.headers.get("X-Vapi-Secret", ""), secrets)
            or _is_signed(request, body, secrets)
        )

    def call_in(self, body: bytes) -> Call:
        message = member(json_object(body), "message", dict, "message")
        kind = member(message, "type", str, "message.type")
        if kind != "assistant-request":
            raise NotACall(kind)
        call = message.get("call")
        call_id = call_id_in(call, "id") if isinstance(call, dict) else ""
        return Call(_called_number(message), call_id=call_id)

    def response(self, call: Call, answer: Answer) -> Response:
        overrides = {"assistantOverrides": {"variableValues": answer.variables}}
        assistant = answer.settings.get("preferred_agent_id") or settings.VAPI_ASSISTANT_ID
        if assistant:
            return json_response({"assistantId": assistant, **overrides})
        # Vapi then transfers to the number's fallback destination; an `error` of ours would be
        # read out to the caller instead.
        logger.warning("No assistant for %s: VAPI_ASSISTANT_ID is not set", answer.number)
        return json_response(overrides)

    def body(self, to_number: str) -> bytes:
        message = {
            "type": "assistant-request",
            "phoneNumber": {"provider": "twilio", "number": to_number},
            "customer": {"number": "anonymous"},
            "call": {"id": "call_sandbox", "type": "inboundPhoneCall", "status": "ringing"},
        }
        return json.dumps({"message": message}).encode()

    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        now = str(int(time.time() * 1000))
        return {"X-Timestamp": now, "X-Signature": _signature(now, body, secret)}

    def stand_in(self) -> dict[str, str]:
        return {**super().stand_in(), "VAPI_ASSISTANT_ID": "assistant_sandbox"}


def _is_signed(request: Request, body: bytes, secrets: Sequence[str]) -> bool:
    timestamp = request.headers.get("X-Timestamp", "")
    if not _TIMESTAMP.fullmatch(timestamp):
        return False
    sent_at = int(timestamp)
    if not is_recent(sent_at if sent_at < _LARGEST_SECONDS else sent_at / 1000):
        return False
    expected = [_signature(timestamp, body, secret) for secret in secrets]
    return is_one_of(request.headers.get("X-Signature", ""), expected)


def _signature(timestamp: str, body: bytes, secret: str) -> str:
    return sha256_hmac(secret, f"{timestamp}.".encode() + body)


def _called_number(message: dict[str, Any]) -> str:
    """The number called, or the SIP address of a number of Vapi's own, which has no digits.
    Vapi's pages on personalization read `call.from.phoneNumber`, which its schema does not have."""
    for path, holder in (("message", message), ("message.call", message.get("call"))):
        phone = holder.get("phoneNumber") if isinstance(holder, dict) else None
        if not isinstance(phone, dict):
            continue
        for name in ("number", "sipUri"):
            if phone.get(name) is not None:
                return str(member(phone, name, str, f"{path}.phoneNumber.{name}"))
    raise MalformedCall("message.phoneNumber.number is missing.")
