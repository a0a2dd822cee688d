"""Signatures by Standard Webhooks, which several platforms use:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""

import base64
import hmac
import re
import secrets as random_secrets
import time

from siftly.server.http import Request
from webhooks.platforms.authentication import is_one_of, is_recent
from webhooks.platforms.base import Platform

PREFIX = "whsec_"
ID_HEADER = "webhook-id"  # of the event: it stays the same when the event is sent again
_TIMESTAMP = re.compile("[0-9]{1,20}")


class StandardWebhooks(Platform):
    """A platform that signs so."""

    def is_authentic(self, request: Request, body: bytes) -> bool:
        """One of several signatures is enough: the sender may be rotating its secret."""
        message_id = request.headers.get(ID_HEADER, "")
        timestamp = request.headers.get("webhook-timestamp", "")
        if not message_id or not _TIMESTAMP.fullmatch(timestamp) or not is_recent(int(timestamp)):
            return False
        usable = [secret for secret in self.secrets if _key(secret)]
        expected = [_signature(message_id, timestamp, body, secret) for secret in usable]
        given = request.headers.get("webhook-signature", "").split(" ")
        matches = [is_one_of(each, expected) for each in given]
        return any(matches)

    def sign(self, body: bytes, secret: str, address: str) -> dict[str, str]:
        message_id, now = f"msg_{random_secrets.token_hex(12)}", str(int(time.time()))
        return {
            ID_HEADER: message_id,
            "webhook-timestamp": now,
            "webhook-signature": _signature(message_id, now, body, secret),
        }

    @staticmethod
    def secret_problem(secret: str) -> str:
        return "" if _key(secret) else f"It must be {PREFIX} followed by base64."

    @classmethod
    def sandbox_variables(cls) -> dict[str, str]:
        key = base64.b64encode(random_secrets.token_bytes(32)).decode()
        return {cls.secrets_setting: f"{PREFIX}{key}"}


def _signature(message_id: str, timestamp: str, body: bytes, secret: str) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(_key(secret), signed, 'sha256')).decode()}"


def _key(secret: str) -> bytes:
    """b"" if the secret is malformed."""
    text = secret.removeprefix(PREFIX).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""
