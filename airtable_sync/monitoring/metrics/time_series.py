"""What all processes counted, over the last hour, day or week: for charts and quantiles."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from airtable_sync.cache.redis_store import TELEMETRY, Store
from airtable_sync.monitoring.metrics.counts import Counts, Tally, add_to, of_tally
from airtable_sync.monitoring.metrics.unflushed_counts import (
    MINUTES_A_QUARTER,
    TOTALS,
    minutes_name,
    quarters_name,
)

Span = Literal["hour", "day", "week"]


@dataclass(frozen=True, slots=True)
class _Shape:
    points: int
    step: int  # minutes
    hash_minutes: int  # what one hash in Redis holds
    field_minutes: int  # what one of its fields stands for


_SHAPES: dict[Span, _Shape] = {
    "hour": _Shape(60, 1, 60, 1),
    "day": _Shape(96, 15, 1440, MINUTES_A_QUARTER),
    "week": _Shape(168, 60, 1440, MINUTES_A_QUARTER),
}


@dataclass(frozen=True, slots=True)
class Point:
    start: datetime
    counts: Counts


@dataclass(frozen=True, slots=True)
class History:
    """Points of equal length, oldest first, without a gap; the last one is not over yet. `total` is
    their sum: quantiles are `total.latency["memory"].quantile(0.95)`."""

    span: Span
    step: timedelta
    points: list[Point]
    total: Counts


def read(span: Span, store: Store = TELEMETRY, now: float | None = None) -> History:
    """Takes two commands for an hour or a day, eight for a week. Raises CacheUnavailable."""
    shape = _SHAPES[span]
    minute = int(time.time() if now is None else now) // 60
    first = (minute // shape.step - shape.points + 1) * shape.step
    tallies: list[Tally] = [{} for _ in range(shape.points)]
    total: Tally = {}
    for at, tally in _fields(shape, first, minute, store):
        place = (at - first) // shape.step
        if 0 <= place < shape.points:
            add_to(tallies[place], tally)
            add_to(total, tally)
    points = [
        Point(datetime.fromtimestamp((first + place * shape.step) * 60, UTC), of_tally(tally))
        for place, tally in enumerate(tallies)
    ]
    return History(span, timedelta(minutes=shape.step), points, of_tally(total))


def totals(store: Store = TELEMETRY) -> Counts:
    """Everything since Redis was set up. Raises CacheUnavailable."""
    (hashed,) = store.ask(("HGETALL", TOTALS))
    return of_totals(hashed)


def of_totals(hashed: dict[bytes, bytes]) -> Counts:
    return of_tally({name.decode(): int(count) for name, count in hashed.items()})


def _fields(shape: _Shape, first: int, last: int, store: Store) -> Iterator[tuple[int, Tally]]:
    """What is written down, each with its minute since 1970."""
    name = minutes_name if shape.hash_minutes == 60 else quarters_name
    hashes = range(first // shape.hash_minutes, last // shape.hash_minutes + 1)
    answers = store.ask(*(("HGETALL", name(each)) for each in hashes))
    for each, fields in zip(hashes, answers, strict=True):
        for field, tally in fields.items():
            at = each * shape.hash_minutes + int(field) * shape.field_minutes
            yield at, {key: int(count) for key, count in json.loads(tally).items()}
