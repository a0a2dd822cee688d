"""Callers of one's own, by Standard Webhooks: https://www.standardwebhooks.com

They send `{"to_number": …}` and get the config. Bland, which asks for data in a shape one describes
(`dynamic_data`), is such a caller."""

import base64
import hmac
import json
import re
import secrets as random
import time
from collections.abc import Sequence

from airtable_sync.lookup.answerer import Answer
from siftly.server.http import Request, Response, json_response
from webhooks.platforms.authentication import bearer, is_one_of, is_recent
from webhooks.platforms.base import Call, Platform, json_object, member

_PREFIX = "whsec_"
_TIMESTAMP = re.compile("[0-9]{1,20}")


class Standard(Platform):
    name = "standard"
    secrets_setting = "STANDARD_WEBHOOK_SECRET"
    deadline_seconds = 1.7  # Bland gives up after two, unless told otherwise

    def is_authentic(self, request: Request, body: bytes, secrets: Sequence[str]) -> bool:
        """A signature by the specification; or the secret itself, for callers that can't sign."""
        return is_one_of(bearer(request), secrets) or _is_signed(request, body, secrets)

    def call_in(self, body: bytes) -> Call:
        return Call(member(json_object(body), "to_number", str, "to_number"))

    def response(self, call: Call, answer: Answer) -> Response:
        return json_response(
            {
                "to_number": answer.number or call.to_number,
                "known": answer.known,
                "variables": answer.variables,
            }
        )

    def body(self, to_number: str) -> bytes:
        return json.dumps({"to_number": to_number}).encode()

    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        message_id, now = f"msg_{random.token_hex(12)}", str(int(time.time()))
        return {
            "webhook-id": message_id,
            "webhook-timestamp": now,
            "webhook-signature": _signature(message_id, now, body, secret),
        }

    def problem_with(self, secret: str) -> str:
        return "" if _key(secret) else f"Not a secret of Standard Webhooks: {_PREFIX} and base64."

    def stand_in(self) -> dict[str, str]:
        key = base64.b64encode(random.token_bytes(32)).decode()
        return {self.secrets_setting: f"{_PREFIX}{key}"}


def _is_signed(request: Request, body: bytes, secrets: Sequence[str]) -> bool:
    """One of several signatures is enough: their sender may be changing its secret."""
    message_id = request.headers.get("webhook-id", "")
    timestamp = request.headers.get("webhook-timestamp", "")
    if not message_id or not _TIMESTAMP.fullmatch(timestamp) or not is_recent(int(timestamp)):
        return False
    usable = [secret for secret in secrets if _key(secret)]
    expected = [_signature(message_id, timestamp, body, secret) for secret in usable]
    given = request.headers.get("webhook-signature", "").split(" ")
    return any([is_one_of(each, expected) for each in given])  # noqa: C419


def _signature(message_id: str, timestamp: str, body: bytes, secret: str) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(_key(secret), signed, 'sha256')).decode()}"


def _key(secret: str) -> bytes:
    """Empty, which signs nothing, for a secret that is none."""
    text = secret.removeprefix(_PREFIX).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""
