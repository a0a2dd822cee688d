"""An answer went out: the part of telemetry that a call pays for, some 2 microseconds
(docs/decisions.md). It runs in the event loop's thread only."""

from collections import deque
from typing import NamedTuple

from airtable_sync import counters
from airtable_sync.answers import Answer
from airtable_sync.replica import of_this_process

HELD = 10_000  # answers that wait to be written; Redis keeps no more of them either
_REPLICA = of_this_process()


class Answered(NamedTuple):
    at: int  # ms, by Redis' clock
    complete_at: int  # when all of Airtable was asked for last, as of then
    answer: Answer
    platform: str
    call_id: str
    seconds: float


# An Answered as a plain tuple, which takes a fifth of the time. Of more than HELD the oldest go.
waiting: deque[tuple[int, int, Answer, str, str, float]] = deque(maxlen=HELD)


def answered(answer: Answer, platform: str, call_id: str, seconds: float) -> None:
    """`call_id` is the platform's own name for the call; `seconds` since the call came in."""
    counters.answered(platform, answer.source, seconds, answer.spent)
    if len(waiting) == HELD:
        counters.counts.events["dropped"] += 1  # by this thread alone
    waiting.append((_REPLICA.now(), _REPLICA.complete_at, answer, platform, call_id, seconds))
