"""What the proofs of authenticity of several platforms have in common."""

import hmac
import time
from collections.abc import Iterable
from functools import lru_cache

from siftly.server.http import Request

TOLERANCE_SECONDS = 5 * 60


def is_one_of(given: str, expected: Iterable[str]) -> bool:
    """Compares with all of them, each in constant time."""
    raw, matches = given.encode(), False
    for each in expected:
        matches |= hmac.compare_digest(raw, each.encode())
    return matches


def sha256_hmac(secret: str, signed: bytes) -> str:
    """In hexadecimal digits."""
    mac = _with_key(secret).copy()
    mac.update(signed)
    return mac.hexdigest()


@lru_cache(maxsize=64)
def _with_key(secret: str) -> hmac.HMAC:
    """Cached, because preparing the key is half of the work. Copy it before use."""
    return hmac.new(secret.encode(), digestmod="sha256")


def bearer_token(request: Request) -> str:
    """The token of `Authorization: Bearer <token>`; "" without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def is_recent(sent_at: float, tolerance: float = TOLERANCE_SECONDS) -> bool:
    """Whether a moment (seconds since 1970) is within the tolerance, in the past or in the future:
    a signature from the future would stay valid until then."""
    return abs(time.time() - sent_at) <= tolerance
