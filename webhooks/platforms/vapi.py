"""Vapi's `assistant-request` message: https://docs.vapi.ai/server-url/events"""

import json
import logging
import re
import time
from collections.abc import Sequence
from typing import Any

from airtable_sync.lookup.answer import Answer
from siftly.server.http import Request, Response, json_response
from webhooks.platforms.authentication import bearer_token, is_one_of, is_recent, sha256_hmac
from webhooks.platforms.base import ANONYMOUS, Call, MalformedCall, NotACall, Platform
from webhooks.platforms.number_settings import (
    chosen,
    is_sip_address,
    json_setting,
    transfer_target,
)
from webhooks.platforms.parsing import json_object, member, optional_text
from webhooks.platforms.variable_names import NameRule

logger = logging.getLogger(__name__)

# https://liquidjs.com/tutorials/operators.html: these are not names of variables.
_LIQUID_WORDS = frozenset(
    {"true", "false", "nil", "null", "empty", "blank", "and", "or", "not", "contains"}
)
_TIMESTAMP = re.compile("[0-9]{1,20}")
_MAX_SECONDS = 10**11  # more is milliseconds: Vapi does not document which it sends


class Vapi(Platform):
    name = "vapi"
    secrets_setting = "VAPI_WEBHOOK_SECRET"
    signing_setting = secrets_setting
    deadline_seconds = 6.0  # Vapi's limit is 7.5, fixed; its servers are in us-west-2
    reserved = re.compile(r"customer\Z")
    # https://docs.vapi.ai/assistants/dynamic-variables: placeholders are LiquidJS, which reads
    # `{{a.b}}` as b of a, and `{{a b}}` as a. The others are its words, and what Vapi fills itself.
    name_rule = NameRule(
        "letters, digits, _ and -, not only digits, and no - at either end; customer, now, date, "
        "time, month, day and year are Vapi's own",
        re.compile(r"(?!-|\d+\Z)[\w-]+(?<!-)"),
        frozenset({"now", "date", "time", "month", "day", "year", "customer"} | _LIQUID_WORDS),
    )
    used_settings = frozenset(
        {"agent_id", "squad_id", "assistant", "transfer_to", "error_message", "first_message"}
    )

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._default_assistant = settings.VAPI_ASSISTANT_ID or ""

    def is_authentic(self, request: Request, body: bytes) -> bool:
        """Any of the credentials that can be set up at Vapi, with its default header names.
        https://docs.vapi.ai/server-url/server-authentication"""
        return (
            is_one_of(bearer_token(request), self.secrets)
            # A credential's "Include Bearer Prefix" can be off.
            or is_one_of(request.headers.get("Authorization", ""), self.secrets)
            or is_one_of(request.headers.get("X-Vapi-Secret", ""), self.secrets)
            or _is_signed(request, body, self.secrets)
        )

    def parse_call(self, body: bytes) -> Call:
        message = member(json_object(body), "message", dict, "message")
        kind = member(message, "type", str, "message.type")
        if kind != "assistant-request":
            raise NotACall(kind)
        call = message.get("call")
        caller = optional_text(message.get("customer"), "number") or optional_text(
            call.get("customer") if isinstance(call, dict) else None, "number"
        )
        return Call(_called_number(message), call_id=optional_text(call, "id"), from_number=caller)

    def response(self, call: Call, answer: Answer) -> Response:
        """Exactly one of an error, a destination, an assistant and a squad; Vapi takes the first
        of these."""
        settings = answer.settings
        if error := settings.get("error_message"):
            return json_response({"error": error})
        if target := transfer_target(answer):
            return json_response({"destination": _destination(target)})
        values: dict[str, Any] = {"variableValues": answer.variables}
        values |= chosen(answer, firstMessage="first_message")
        overrides = {"assistantOverrides": values}
        if assistant := json_setting(answer, "assistant"):
            return json_response({"assistant": assistant, **overrides})
        if squad := settings.get("squad_id"):
            return json_response({"squadId": squad, "squadOverrides": values})
        if assistant_id := settings.get("agent_id") or self._default_assistant:
            return json_response({"assistantId": assistant_id, **overrides})
        # Vapi transfers the call to the number's fallback destination. With an `error` it would
        # read that out to the caller.
        logger.warning("No assistant for %s: VAPI_ASSISTANT_ID is not set", answer.number)
        return json_response(overrides)

    def sample_body(self, to_number: str, from_number: str = ANONYMOUS) -> bytes:
        message = {
            "type": "assistant-request",
            "phoneNumber": {"provider": "twilio", "number": to_number},
            "customer": {"number": from_number},
            "call": {"id": "call_sandbox", "type": "inboundPhoneCall", "status": "ringing"},
        }
        return json.dumps({"message": message}).encode()

    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        now = str(int(time.time() * 1000))
        return {"X-Timestamp": now, "X-Signature": _signature(now, body, secret)}

    @classmethod
    def sandbox_variables(cls) -> dict[str, str]:
        return {**super().sandbox_variables(), "VAPI_ASSISTANT_ID": "assistant_sandbox"}


def _destination(target: str) -> dict[str, str]:
    """A telephone number, or a SIP address."""
    if is_sip_address(target):
        return {"type": "sip", "sipUri": target}
    return {"type": "number", "number": target}


def _is_signed(request: Request, body: bytes, secrets: Sequence[str]) -> bool:
    timestamp = request.headers.get("X-Timestamp", "")
    if not _TIMESTAMP.fullmatch(timestamp):
        return False
    sent_at = int(timestamp)
    if not is_recent(sent_at if sent_at < _MAX_SECONDS else sent_at / 1000):
        return False
    expected = [_signature(timestamp, body, secret) for secret in secrets]
    return is_one_of(request.headers.get("X-Signature", ""), expected)


def _signature(timestamp: str, body: bytes, secret: str) -> str:
    return sha256_hmac(secret, f"{timestamp}.".encode() + body)


def _called_number(message: dict[str, Any]) -> str:
    """The called number, or the SIP address of one of Vapi's own numbers, which is not a telephone
    number. Vapi's pages on personalization show `call.from.phoneNumber`, which its schema does not
    have."""
    for path, holder in (("message", message), ("message.call", message.get("call"))):
        phone = holder.get("phoneNumber") if isinstance(holder, dict) else None
        if not isinstance(phone, dict):
            continue
        for name in ("number", "sipUri"):
            if phone.get(name) is not None:
                return str(member(phone, name, str, f"{path}.phoneNumber.{name}"))
    raise MalformedCall("message.phoneNumber.number is missing.")
