"""Answers calls: authenticate, parse, ask once, respond. Two paths give the same response: the ASGI
path for all requests, and the fast path for cache hits."""

import logging
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

from airtable_sync.cache.entry import Entry, decode_entry_cached
from airtable_sync.lookup.answer import Answer, Source, answer_from_bytes
from airtable_sync.lookup.answerer import Answerer
from airtable_sync.mapping.active_mapping import ActiveMapping
from airtable_sync.monitoring.calls.recorder import CallRecorder
from siftly.server.fast_path import FastAnswer
from siftly.server.http import Headers, Request, Response, error_response
from siftly.server.prepared_log_line import PreparedLogLine
from webhooks.follow_ups import FollowUps
from webhooks.platforms.base import Call, MalformedCall, NotACall, Platform

logger = logging.getLogger(__name__)
# Anyone can cause these lines, so settings.LOGGING limits them, but not the lines about calls.
rejections = logging.getLogger(f"{__name__}.rejections")

MAX_CACHED_BYTES = 8 * 1024  # of an entry whose responses are cached
RESPONSES_CACHED = 4096  # about 2 KB each (docs/understanding/decisions.md)


ContactKey = tuple[str, bytes] | None  # the key and the bytes of the caller's contact


class CallRejected(Exception):
    """The request is not an authentic, well-formed call. Has the HTTP status and the reason, and
    the methods that are allowed if that is the reason."""

    def __init__(self, status: int, message: str, allow: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.status, self.allow = status, allow


class CallHandler:
    """`deadline_seconds` is LOOKUP_DEADLINE_SECONDS; None: each platform's own."""

    def __init__(
        self,
        platforms: Mapping[str, Platform],
        answerer: Answerer,
        active_mapping: ActiveMapping,
        recorder: CallRecorder,
        follow_ups: FollowUps,
        deadline_seconds: float | None,
    ) -> None:
        self.platforms = platforms
        self._answerer = answerer
        self._callers = answerer.callers
        self._active_mapping = active_mapping
        self._recorder = recorder
        self.follow_ups = follow_ups
        self._deadline_seconds = deadline_seconds
        # Operators search for this text, so it stays. This hit is from memory: `tier` is the truth.
        self._log_hit = PreparedLogLine(logger, "Redis cache hit for %s", tier="memory").log
        # Path -> the fast path's function, for the server's protocol.
        self.fast_answers = self._fast_answers_by_path()
        self._hit_response = lru_cache(RESPONSES_CACHED)(self._make_hit_response)

    def take_over(self, before: "CallHandler") -> None:
        """Answer instead of another one, on open connections too: they hold its dictionary."""
        before.fast_answers.update(self.fast_answers)
        self.fast_answers = before.fast_answers

    async def handle(self, request: Request, body: bytes, platform: str) -> Response:
        """POST /webhooks/<platform>/. Every authentic call gets a 200, whatever is down."""
        started = time.perf_counter()
        try:
            adapter, call = self._accept(request, body, platform)
        except CallRejected as rejected:
            return _rejection(rejected)
        except NotACall:
            response = self.platforms[platform].acknowledgement()
            return _with_timing(response, "default", {}, time.perf_counter() - started)
        number = self._active_mapping.number(call.to_number)
        deadline = self._deadline_seconds or adapter.deadline_seconds
        answer = await self._answerer.answer(number, deadline)
        contact = await self._find_contact(answer, call, deadline - (time.perf_counter() - started))
        told = adapter.without_reserved(self._told(answer, contact))
        response = adapter.response(call, told)
        seconds = time.perf_counter() - started
        self._recorder.record(answer, platform, call.call_id, seconds, self._record_of(contact))
        if follow_up := adapter.follow_up(call, told):
            outcome = await self.follow_ups.send(follow_up, adapter.follow_up_seconds)
            response.headers.append((b"x-siftly-follow-up", outcome.encode()))
        seconds = time.perf_counter() - started
        return _with_timing(response, answer.source, answer.tier_seconds, seconds)

    def _fast_answers_by_path(self) -> dict[bytes, FastAnswer]:
        """Without platforms that need a follow-up request: `handle` sends it."""
        names = [name for name, each in self.platforms.items() if not each.follow_up_seconds]
        paths = {f"/webhooks/{name}{end}": name for name in names for end in ("/", "")}
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
            contact: Entry | None = None
            if self._callers.are_told:
                entry = decode_entry_cached(number, raw)
                contact, is_certain = self._callers.in_memory(entry, self._caller(call))
                if not is_certain:
                    return None
            key = (contact.number, self._callers.raw(contact)) if contact else None
            head, content = self._hit_response(adapter, call.kind, number, raw, key)
            seconds = time.perf_counter() - started
            self._log_hit(number)
            record = self._record_of(contact)
            self._recorder.record_hit(number, raw, platform, call.call_id, seconds, record)
            return b"%b%.2f\r\n" % (head, seconds * 1000), content
        except (CallRejected, NotACall):
            return None
        except Exception:
            logger.exception("The fast path failed; the call takes the ASGI path")
            return None

    def _caller(self, call: Call) -> str | None:
        return self._active_mapping.number(call.from_number)

    async def _find_contact(self, answer: Answer, call: Call, seconds: float) -> Entry | None:
        if not self._callers.are_told:
            return None
        deadline = time.monotonic() + max(0.0, seconds)
        return await self._callers.find(answer.entry, self._caller(call), deadline)

    def _record_of(self, contact: Entry | None) -> str | None:
        """For the answer log, which has no caller's number: "table/rec…"; "" for a stranger, None
        if callers are not looked up."""
        if not self._callers.are_told:
            return None
        return contact.records[0] if contact and contact.records else ""

    def _told(self, answer: Answer, contact: Entry | None) -> Answer:
        return self._callers.told(answer, contact) if self._callers.are_told else answer

    def _make_hit_response(
        self, adapter: Platform, kind: str, number: str, raw: bytes, contact: ContactKey
    ) -> tuple[bytes, bytes]:
        """The header lines up to the duration, and the body. Warnings about the answer are logged
        when it is made, not for each call."""
        caller = decode_entry_cached(*contact) if contact and contact[1] else None
        answer = self._told(answer_from_bytes(number, raw), caller)
        response = adapter.response(Call(number, kind), adapter.without_reserved(answer))
        lines = [
            *response.headers,
            (b"x-siftly-source", b"memory"),
            (b"server-timing", b"total;dur="),
        ]
        return b"\r\n".join(b"%b: %b" % line for line in lines), response.body

    def _accept(self, request: Request, body: bytes, platform: str) -> tuple[Platform, Call]:
        """Raises CallRejected and NotACall."""
        adapter = self.platforms.get(platform)
        if not adapter or not adapter.secrets:
            raise CallRejected(404, f"{platform} is not a platform that is set up here.")
        if request.method not in adapter.methods:
            methods = " or ".join(adapter.methods)
            raise CallRejected(405, f"Calls are sent with {methods}.", allow=adapter.methods)
        if not adapter.is_authentic(request, body):
            raise CallRejected(401, "The signature is missing, wrong or expired.")
        try:
            return adapter, adapter.parse_request(request, body)
        except MalformedCall as error:
            raise CallRejected(400, str(error)) from None


def _rejection(rejected: CallRejected) -> Response:
    if rejected.status == 404:
        rejections.info("Rejected with 404: %s", rejected)  # a scanner of the internet
    else:
        rejections.warning("Rejected with %d: %s", rejected.status, rejected)
    response = error_response(rejected.status, str(rejected))
    if rejected.status == 405:
        response.headers.append((b"allow", ", ".join(rejected.allow).encode()))
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
