"""What proofs of authenticity have in common."""

import hmac
import time
from collections.abc import Iterable
from functools import lru_cache

from siftly.server.http import Request

TOLERANCE_SECONDS = 5 * 60


def is_one_of(given: str, expected: Iterable[str]) -> bool:
    """Compares with all of them, each in constant time."""
    raw = given.encode()
    return any([hmac.compare_digest(raw, each.encode()) for each in expected])  # noqa: C419


def sha256_hmac(secret: str, signed: bytes) -> str:
    """In hexadecimal digits."""
    mac = _keyed(secret).copy()
    mac.update(signed)
    return mac.hexdigest()


@lru_cache(maxsize=64)
def _keyed(secret: str) -> hmac.HMAC:
    """To be copied: half of a signature is to take in the key."""
    return hmac.new(secret.encode(), digestmod="sha256")


def bearer(request: Request) -> str:
    """The token of `Authorization: Bearer <token>`; empty without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def is_recent(sent_at: float, tolerance: float = TOLERANCE_SECONDS) -> bool:
    """Whether a moment, in seconds since 1970, is no further away than the tolerance: neither way,
    for a signature from the future would live until then."""
    return abs(time.time() - sent_at) <= tolerance
