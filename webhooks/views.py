"""The call comes in: authenticate, read, ask once, answer. A hit is answered from here."""

import logging
import time

from django.conf import settings

from airtable_sync import telemetry
from airtable_sync.answers import Source, answer
from airtable_sync.mapping import current
from airtable_sync.numbers import e164
from siftly.http import Request, Response, refusal
from webhooks.platforms import PLATFORMS
from webhooks.platforms.base import MalformedCall, NotACall

logger = logging.getLogger(__name__)


async def webhook(request: Request, body: bytes, platform: str) -> Response:
    """POST /webhooks/<platform>/. Every authentic call gets a 200, whatever is down behind.
    The body comes apart from the request: it was read, and its size limited, on the way in."""
    started = time.perf_counter()
    adapter = PLATFORMS.get(platform)
    secrets = getattr(settings, adapter.secrets_setting) if adapter else None
    if not adapter or not secrets:
        return _refused(404, f"{platform} is not a platform that is set up here.")
    if request.method != "POST":
        refused = _refused(405, "Calls are sent with POST.")
        refused.headers.append((b"allow", b"POST"))
        return refused
    if not adapter.is_authentic(request, body, secrets):
        return _refused(401, "The signature is missing, wrong or expired.")
    try:
        call = adapter.call_in(body)
    except MalformedCall as error:
        return _refused(400, str(error))
    except NotACall:
        return _told(adapter.acknowledgement(), "default", {}, time.perf_counter() - started)
    number = e164(call.to_number, current().region)
    deadline = settings.LOOKUP_DEADLINE_SECONDS or adapter.deadline_seconds
    found = await answer(number, deadline)
    response = adapter.response(call, adapter.permitted(found))
    seconds = time.perf_counter() - started
    telemetry.answered(found, platform, call.call_id, seconds)
    return _told(response, found.source, found.spent, seconds)


def _refused(status: int, sentence: str) -> Response:
    logger.warning("Refused with %d: %s", status, sentence)
    return refusal(status, sentence)


def _told(response: Response, source: Source, spent: dict[str, float], seconds: float) -> Response:
    """Where the answer comes from, and what took how long: https://www.w3.org/TR/server-timing/"""
    tiers = [f"{tier};dur={each * 1000:.2f}, " for tier, each in spent.items()]
    timing = f"{''.join(tiers)}total;dur={seconds * 1000:.2f}"
    response.headers.append((b"x-siftly-source", source.encode()))
    response.headers.append((b"server-timing", timing.encode()))
    return response
