"""The call comes in: authenticate, read, ask once, answer. A hit is answered from here."""

import logging
import time
from functools import lru_cache

from django.conf import settings

from airtable_sync.lookup import answerer
from airtable_sync.lookup.answerer import Source, answer
from airtable_sync.mapping.phone_numbers import e164
from airtable_sync.mapping.schema import current
from airtable_sync.monitoring import calls
from siftly.constant import until_settings_change
from siftly.server.http import RawHeaders, Request, Response, refusal
from webhooks.platforms import PLATFORMS
from webhooks.platforms.base import Call, MalformedCall, NotACall, Platform

logger = logging.getLogger(__name__)

LARGEST_KEPT = 8 * 1024  # bytes of an entry whose answers are kept


class CallRejected(Exception):
    """No authentic, well-formed call. Holds the status and why, in one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


async def webhook(request: Request, body: bytes, platform: str) -> Response:
    """POST /webhooks/<platform>/. Every authentic call gets a 200, whatever is down behind.
    The body comes apart from the request: it was read, and its size limited, on the way in."""
    started = time.perf_counter()
    try:
        adapter, call = _taken(request, body, platform)
    except CallRejected as refused:
        return _refused(refused)
    except NotACall:
        response = PLATFORMS[platform].acknowledgement()
        return _told(response, "default", {}, time.perf_counter() - started)
    number = e164(call.to_number, current().region)
    deadline = settings.LOOKUP_DEADLINE_SECONDS or adapter.deadline_seconds
    found = await answer(number, deadline)
    response = adapter.response(call, adapter.permitted(found))
    seconds = time.perf_counter() - started
    calls.answered(found, platform, call.call_id, seconds)
    return _told(response, found.source, found.spent, seconds)


def at_once(
    platform: str, path: str, headers: RawHeaders, scheme: str, body: bytes
) -> tuple[bytes, bytes] | None:
    """The headers, as they go over the wire, and the body that `webhook` would send for this POST
    if its number is a hit in memory; None for all else. Nearly every call is one."""
    started = time.perf_counter()
    try:
        adapter, call = _taken(Request("POST", path, headers, scheme), body, platform)
        number = e164(call.to_number, current().region)
        raw = answerer.at_once(number)
        if number is None or raw is None or len(raw) > LARGEST_KEPT:
            return None
        head, told = _hit(adapter, call.kind, number, raw)
        seconds = time.perf_counter() - started
        answerer.HIT.log(number)
        calls.hit(number, raw, platform, call.call_id, seconds)
        return b"%b%.2f\r\n" % (head, seconds * 1000), told
    except (CallRejected, NotACall):
        return None
    except Exception:
        logger.exception("A call takes the long way")
        return None


@until_settings_change  # some platforms' answers hold settings
@lru_cache(maxsize=4096)  # for numbers that ring often: some 2 KB each (docs/decisions.md)
def _hit(adapter: Platform, kind: str, number: str, raw: bytes) -> tuple[bytes, bytes]:
    """What a platform is told of an entry: the headers, up to the time it took, and the body. What
    there is to warn of is logged when it is made, and not with every call."""
    found = answerer.of_memory(number, raw)
    response = adapter.response(Call(number, kind), adapter.permitted(found))
    lines = [*response.headers, (b"x-siftly-source", b"memory"), (b"server-timing", b"total;dur=")]
    return b"\r\n".join(b"%b: %b" % line for line in lines), response.body


def _taken(request: Request, body: bytes, platform: str) -> tuple[Platform, Call]:
    """Raises CallRejected and NotACall."""
    adapter = PLATFORMS.get(platform)
    if not adapter or not (secrets := adapter.secrets()):
        raise CallRejected(404, f"{platform} is not a platform that is set up here.")
    if request.method != "POST":
        raise CallRejected(405, "Calls are sent with POST.")
    if not adapter.is_authentic(request, body, secrets):
        raise CallRejected(401, "The signature is missing, wrong or expired.")
    try:
        return adapter, adapter.call_in(body)
    except MalformedCall as error:
        raise CallRejected(400, str(error)) from None


def _refused(refused: CallRejected) -> Response:
    logger.warning("CallRejected with %d: %s", refused.status, refused)
    response = refusal(refused.status, str(refused))
    if refused.status == 405:
        response.headers.append((b"allow", b"POST"))
    return response


def _told(response: Response, source: Source, spent: dict[str, float], seconds: float) -> Response:
    """Where the answer comes from, and what took how long: https://www.w3.org/TR/server-timing/"""
    tiers = [f"{tier};dur={each * 1000:.2f}, " for tier, each in spent.items()]
    timing = f"{''.join(tiers)}total;dur={seconds * 1000:.2f}"
    response.headers.append((b"x-siftly-source", source.encode()))
    response.headers.append((b"server-timing", timing.encode()))
    return response
