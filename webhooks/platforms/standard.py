"""Our own request format, signed by Standard Webhooks: https://www.standardwebhooks.com

The request is `{"to_number": …}`, the response has the config. Use it for platforms that can send a
request that you describe, such as Bland's `dynamic_data`."""

import base64
import hmac
import json
import re
import secrets as random_secrets
import time
from collections.abc import Sequence

from airtable_sync.lookup.answer import Answer
from siftly.server.http import Request, Response, json_response
from webhooks.platforms.authentication import bearer_token, is_one_of, is_recent
from webhooks.platforms.base import ANONYMOUS, Call, Platform
from webhooks.platforms.parsing import json_object, member, optional_text

_PREFIX = "whsec_"
_TIMESTAMP = re.compile("[0-9]{1,20}")


class Standard(Platform):
    name = "standard"
    secrets_setting = "STANDARD_WEBHOOK_SECRET"
    signing_setting = secrets_setting
    deadline_seconds = 1.7  # Bland's default limit is 2

    def is_authentic(self, request: Request, body: bytes) -> bool:
        """A signature by the specification, or the secret itself from clients that can't sign."""
        return is_one_of(bearer_token(request), self.secrets) or _is_signed(
            request, body, self.secrets
        )

    def parse_call(self, body: bytes) -> Call:
        call = json_object(body)
        to_number = member(call, "to_number", str, "to_number")
        return Call(to_number, from_number=optional_text(call, "from_number"))

    def response(self, call: Call, answer: Answer) -> Response:
        return json_response(
            {
                "to_number": answer.number or call.to_number,
                "known": answer.is_known,
                "variables": answer.variables,
            }
        )

    def sample_body(self, to_number: str, from_number: str = ANONYMOUS) -> bytes:
        return json.dumps({"to_number": to_number, "from_number": from_number}).encode()

    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        message_id, now = f"msg_{random_secrets.token_hex(12)}", str(int(time.time()))
        return {
            "webhook-id": message_id,
            "webhook-timestamp": now,
            "webhook-signature": _signature(message_id, now, body, secret),
        }

    @staticmethod
    def secret_problem(secret: str) -> str:
        return "" if _key(secret) else f"It must be {_PREFIX} followed by base64."

    @classmethod
    def sandbox_variables(cls) -> dict[str, str]:
        key = base64.b64encode(random_secrets.token_bytes(32)).decode()
        return {cls.secrets_setting: f"{_PREFIX}{key}"}


def _is_signed(request: Request, body: bytes, secrets: Sequence[str]) -> bool:
    """One of several signatures is enough: the sender may be rotating its secret."""
    message_id = request.headers.get("webhook-id", "")
    timestamp = request.headers.get("webhook-timestamp", "")
    if not message_id or not _TIMESTAMP.fullmatch(timestamp) or not is_recent(int(timestamp)):
        return False
    usable = [secret for secret in secrets if _key(secret)]
    expected = [_signature(message_id, timestamp, body, secret) for secret in usable]
    given = request.headers.get("webhook-signature", "").split(" ")
    matches = [is_one_of(each, expected) for each in given]
    return any(matches)


def _signature(message_id: str, timestamp: str, body: bytes, secret: str) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(_key(secret), signed, 'sha256')).decode()}"


def _key(secret: str) -> bytes:
    """b"" if the secret is malformed."""
    text = secret.removeprefix(_PREFIX).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""
