"""The signature and the answer, as one would write them by hand for Retell alone."""

import hashlib
import hmac
import json
import os
import re
import time
from typing import Any

KEY = os.environ["RETELL_API_KEY"].encode()
ENTRY_KEY = f"siftly:1:{{{os.environ['AIRTABLE_BASE_ID']}}}:entry:%s"
TOLERANCE_MS = 5 * 60 * 1000
_SIGNATURE = re.compile(r"v=(\d+),d=([0-9a-f]+)")


def is_authentic(body: bytes, header: str) -> bool:
    signature = _SIGNATURE.fullmatch(header)
    if not signature:
        return False
    sent_at, digest = signature.groups()
    if abs(time.time() * 1000 - int(sent_at)) > TOLERANCE_MS:
        return False
    expected = hmac.new(KEY, body + sent_at.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, digest)


def response_body(number: str, cached: str | bytes | None) -> dict[str, Any]:
    return {
        "call_inbound": {
            "dynamic_variables": json.loads(cached)["config"] if cached else {},
            "metadata": {"to_number": number, "customer_known": bool(cached)},
        }
    }
