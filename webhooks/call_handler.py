"""Answers calls: authenticate, parse, ask once, respond. Two paths give the same response: the ASGI
path for all requests, and the fast path for cache hits."""

import logging
import time
from collections.abc import Mapping
from functools import lru_cache, partial

from airtable_sync.cache.entry import decode_entry_cached
from airtable_sync.lookup.answer import Source, answer_from_bytes
from airtable_sync.lookup.answerer import Answerer
from airtable_sync.mapping.active_mapping import ActiveMapping
from airtable_sync.monitoring.calls.recorder import CallRecorder
from siftly.server.fast_path import FastAnswer
from siftly.server.http import Headers, Request, Response, error_response
from siftly.server.prepared_log_line import PreparedLogLine
from webhooks.platforms.base import Call, MalformedCall, NotACall, Platform

logger = logging.getLogger(__name__)
# Anyone can cause these lines, so settings.LOGGING limits them, but not the lines about calls.
rejections = logging.getLogger(f"{__name__}.rejections")

MAX_CACHED_BYTES = 8 * 1024  # of an entry whose responses are cached
RESPONSES_CACHED = 4096  # about 2 KB each (docs/decisions.md)


Contact = tuple[str, bytes] | None  # the key and the bytes of the caller's contact


class CallRejected(Exception):
    """The request is not an authentic, well-formed call. Has the HTTP status and the reason."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class CallHandler:
    """`deadline_seconds` is LOOKUP_DEADLINE_SECONDS; None: each platform's own."""

    def __init__(
        self,
        platforms: Mapping[str, Platform],
        answerer: Answerer,
        active_mapping: ActiveMapping,
        recorder: CallRecorder,
        deadline_seconds: float | None,
    ) -> None:
        self._platforms = platforms
        self._answerer = answerer
        self._active_mapping = active_mapping
        self._recorder = recorder
        self._deadline_seconds = deadline_seconds
        # Operators search for this text, so it stays. This hit is from memory: `tier` is the truth.
        self._log_hit = PreparedLogLine(logger, "Redis cache hit for %s", tier="memory").log
        # Path -> the fast path's function, for the server's protocol.
        self.fast_answers = self._fast_answers_by_path()
        self._hit_response = lru_cache(RESPONSES_CACHED)(self._make_hit_response)

    async def handle(self, request: Request, body: bytes, platform: str) -> Response:
        """POST /webhooks/<platform>/. Every authentic call gets a 200, whatever is down."""
        started = time.perf_counter()
        try:
            adapter, call = self._accept(request, body, platform)
        except CallRejected as rejected:
            return _rejection(rejected)
        except NotACall:
            response = self._platforms[platform].acknowledgement()
            return _with_timing(response, "default", {}, time.perf_counter() - started)
        number = self._active_mapping.number(call.to_number)
        deadline = self._deadline_seconds or adapter.deadline_seconds
        answer = await self._answerer.answer(number, deadline, self._caller(call))
        response = adapter.response(call, adapter.without_reserved(answer))
        seconds = time.perf_counter() - started
        self._recorder.record(answer, platform, call.call_id, seconds)
        return _with_timing(response, answer.source, answer.tier_seconds, seconds)

    def _fast_answers_by_path(self) -> dict[bytes, FastAnswer]:
        paths = {f"/webhooks/{name}{end}": name for name in self._platforms for end in ("/", "")}
        return {
            path.encode(): partial(self.fast_answer, name, path) for path, name in paths.items()
        }

    def fast_answer(
        self, platform: str, path: str, headers: Headers, scheme: str, body: bytes
    ) -> tuple[bytes, bytes] | None:
        """The header lines and the body that `handle` would send, if the number is a hit in memory.
        None for everything else."""
        started = time.perf_counter()
        try:
            request = Request("POST", path, headers, scheme)
            adapter, call = self._accept(request, body, platform)
            number = self._active_mapping.number(call.to_number)
            raw = self._answerer.fresh_bytes(number) if number is not None else None
            if number is None or raw is None or len(raw) > MAX_CACHED_BYTES:
                return None
            contact: Contact = None
            if self._answerer.callers.are_told:
                contact, is_certain = self._contact_in_memory(number, raw, call)
                if not is_certain:
                    return None
            head, content = self._hit_response(adapter, call.kind, number, raw, contact)
            seconds = time.perf_counter() - started
            self._log_hit(number)
            self._recorder.record_hit(number, raw, platform, call.call_id, seconds)
            return b"%b%.2f\r\n" % (head, seconds * 1000), content
        except (CallRejected, NotACall):
            return None
        except Exception:
            logger.exception("The fast path failed; the call takes the ASGI path")
            return None

    def _caller(self, call: Call) -> str | None:
        return self._active_mapping.number(call.from_number)

    def _contact_in_memory(self, number: str, raw: bytes, call: Call) -> tuple[Contact, bool]:
        """Whether memory knows is the second value."""
        callers, entry = self._answerer.callers, decode_entry_cached(number, raw)
        found, is_certain = callers.in_memory(entry, self._caller(call))
        contact_raw = callers.raw(found)
        if found is None or contact_raw is None:
            return None, is_certain
        return (found.number, contact_raw), is_certain

    def _make_hit_response(
        self, adapter: Platform, kind: str, number: str, raw: bytes, contact: Contact
    ) -> tuple[bytes, bytes]:
        """The header lines up to the duration, and the body. Warnings about the answer are logged
        when it is made, not for each call."""
        answer = answer_from_bytes(number, raw)
        if self._answerer.callers.are_told:
            caller = decode_entry_cached(*contact) if contact else None
            answer = self._answerer.callers.told(answer, caller)
        response = adapter.response(Call(number, kind), adapter.without_reserved(answer))
        lines = [
            *response.headers,
            (b"x-siftly-source", b"memory"),
            (b"server-timing", b"total;dur="),
        ]
        return b"\r\n".join(b"%b: %b" % line for line in lines), response.body

    def _accept(self, request: Request, body: bytes, platform: str) -> tuple[Platform, Call]:
        """Raises CallRejected and NotACall."""
        adapter = self._platforms.get(platform)
        if not adapter or not adapter.secrets:
            raise CallRejected(404, f"{platform} is not a platform that is set up here.")
        if request.method != "POST":
            raise CallRejected(405, "Calls are sent with POST.")
        if not adapter.is_authentic(request, body):
            raise CallRejected(401, "The signature is missing, wrong or expired.")
        try:
            return adapter, adapter.parse_call(body)
        except MalformedCall as error:
            raise CallRejected(400, str(error)) from None


def _rejection(rejected: CallRejected) -> Response:
    if rejected.status == 404:
        rejections.info("Rejected with 404: %s", rejected)  # a scanner of the internet
    else:
        rejections.warning("Rejected with %d: %s", rejected.status, rejected)
    response = error_response(rejected.status, str(rejected))
    if rejected.status == 405:
        response.headers.append((b"allow", b"POST"))
    return response


def _with_timing(
    response: Response, source: Source, tier_seconds: Mapping[str, float], seconds: float
) -> Response:
    """https://www.w3.org/TR/server-timing/"""
    tiers = [f"{tier};dur={each * 1000:.2f}, " for tier, each in tier_seconds.items()]
    timing = f"{''.join(tiers)}total;dur={seconds * 1000:.2f}"
    response.headers.append((b"x-siftly-source", source.encode()))
    response.headers.append((b"server-timing", timing.encode()))
    return response
