"""An answer went out: the part of telemetry that a call pays for, some 2 microseconds
(docs/decisions.md). It runs in the event loop's thread only."""

from collections import deque
from typing import NamedTuple

from airtable_sync.cache.replica import of_this_process
from airtable_sync.lookup.answerer import Answer, of_memory
from airtable_sync.monitoring.metrics import counters

HELD = 10_000  # answers that wait to be written; Redis keeps no more of them either
_REPLICA = of_this_process()


class Answered(NamedTuple):
    at: int  # ms, by Redis' clock
    confirmed_at: int  # when all of Airtable was asked for last, as of then
    answer: Answer
    platform: str
    call_id: str
    seconds: float


# As plain tuples, which take a fifth of the time; a hit in memory as the number and the bytes that
# the replica holds anyway. Of more than HELD the oldest go.
_Row = tuple[int, int, Answer | tuple[str, bytes], str, str, float]
waiting: deque[_Row] = deque(maxlen=HELD)


def answered(answer: Answer, platform: str, call_id: str, seconds: float) -> None:
    """`call_id` is the platform's own name for the call; `seconds` since the call came in."""
    counters.answered(platform, answer.source, seconds, answer.spent)
    _keep(answer, platform, call_id, seconds)


def hit(number: str, raw: bytes, platform: str, call_id: str, seconds: float) -> None:
    """The same of an entry in memory that was answered at once."""
    counters.answered(platform, "memory", seconds, {})
    _keep((number, raw), platform, call_id, seconds)


def next_one() -> Answered:
    """Raises IndexError if none waits."""
    at, confirmed_at, answer, platform, call_id, seconds = waiting.popleft()
    if isinstance(answer, tuple):
        answer = of_memory(*answer)
    return Answered(at, confirmed_at, answer, platform, call_id, seconds)


def _keep(answer: Answer | tuple[str, bytes], platform: str, call_id: str, seconds: float) -> None:
    if len(waiting) == HELD:
        counters.counts.events["dropped"] += 1  # by this thread alone
    waiting.append((_REPLICA.now(), _REPLICA.confirmed_at, answer, platform, call_id, seconds))
