"""Records an answered call: the counters and a queue for the answer log. It takes a call about two
microseconds (docs/understanding/decisions.md). Use it in the event loop's thread only."""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from airtable_sync.cache.replica import Replica
from airtable_sync.lookup.answer import Answer, answer_from_bytes
from airtable_sync.monitoring.metrics.counters import Counters

MAX_QUEUED = 10_000  # Redis keeps no more answers either
_NO_TIERS: Mapping[str, float] = {}


class AnsweredCall(NamedTuple):
    at: int  # ms by Redis' clock
    confirmed_at: int  # ms: when all of Airtable was last confirmed, at that moment
    answer: Answer
    platform: str
    call_id: str  # the platform's id of the call; "" if it has none
    seconds: float
    contact: str = ""  # the record of the caller's contact; "" for a stranger


# Plain tuples take a fifth of the time of AnsweredCall. A hit in memory is queued as its number and
# the bytes that the replica has anyway. The oldest rows are dropped when the queue is full.
_Row = tuple[int, int, Answer | tuple[str, bytes], str, str, float, str | None]


class CallRecorder:
    def __init__(self, counters: Counters, replica: Replica) -> None:
        self._counters = counters
        self._replica = replica
        self._queue: deque[_Row] = deque(maxlen=MAX_QUEUED)

    def record(
        self,
        answer: Answer,
        platform: str,
        call_id: str,
        seconds: float,
        contact: str | None = None,
    ) -> None:
        """`contact` is the record of the caller's contact: "" for a stranger, None if callers are
        not looked up."""
        self._counters.call_answered(platform, answer.source, seconds, answer.tier_seconds)
        self._append(answer, platform, call_id, seconds, contact)

    def record_hit(
        self,
        number: str,
        raw: bytes,
        platform: str,
        call_id: str,
        seconds: float,
        contact: str | None = None,
    ) -> None:
        """A call that was answered from a fresh entry in memory."""
        self._counters.call_answered(platform, "memory", seconds, _NO_TIERS)
        self._append((number, raw), platform, call_id, seconds, contact)

    def __len__(self) -> int:
        return len(self._queue)

    def pop(self) -> AnsweredCall:
        """The oldest queued call. Raises IndexError if there is none."""
        at, confirmed_at, answer, platform, call_id, seconds, contact = self._queue.popleft()
        if isinstance(answer, tuple):
            answer = answer_from_bytes(*answer)
        return AnsweredCall(at, confirmed_at, answer, platform, call_id, seconds, contact or "")

    def _append(
        self,
        answer: Answer | tuple[str, bytes],
        platform: str,
        call_id: str,
        seconds: float,
        contact: str | None,
    ) -> None:
        if contact is not None:
            self._counters.caller_looked_up(known=bool(contact))
        if len(self._queue) == MAX_QUEUED:
            self._counters.answer_log_dropped()
        replica = self._replica
        moments = replica.now(), replica.confirmed_at
        self._queue.append((*moments, answer, platform, call_id, seconds, contact))
