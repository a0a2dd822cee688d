"""What all processes counted in the last hour, day or week: for charts and quantiles."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.monitoring.export.unflushed_counts import (
    MINUTES_A_QUARTER,
    day_key,
    hour_key,
)
from airtable_sync.monitoring.metrics.counts import (
    Counts,
    Tally,
    Values,
    add_to,
    add_values,
    counts_from_tally,
)

Span = Literal["hour", "day", "week"]


@dataclass(frozen=True, slots=True)
class _Shape:
    points: int
    step: int  # minutes
    hash_minutes: int  # in one hash in Redis
    field_minutes: int  # in one field of it


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
class TimeSeries:
    """Points of equal length without gaps, oldest first. The last one is not over yet. `total` is
    their sum: `total.latency["memory"].quantile(0.95)`."""

    span: Span
    step: timedelta
    points: list[Point]
    total: Counts


def read_time_series(span: Span, store: RedisStore, now: float | None = None) -> TimeSeries:
    """Two commands for an hour or a day, eight for a week. Raises CacheUnavailable."""
    shape = _SHAPES[span]
    minute = int(time.time() if now is None else now) // 60
    first = (minute // shape.step - shape.points + 1) * shape.step
    tallies: list[Tally] = [{} for _ in range(shape.points)]
    total: Tally = {}
    values: Values = {}
    for at, tally, exact in _stored_tallies(shape, first, minute, store):
        place = (at - first) // shape.step
        if 0 <= place < shape.points:
            add_to(tallies[place], tally)
            add_to(total, tally)
            add_values(values, exact)
    points = [
        Point(
            datetime.fromtimestamp((first + place * shape.step) * 60, UTC),
            counts_from_tally(tally),
        )
        for place, tally in enumerate(tallies)
    ]
    return TimeSeries(span, timedelta(minutes=shape.step), points, counts_from_tally(total, values))


def _stored_tallies(
    shape: _Shape, first: int, last: int, store: RedisStore
) -> Iterator[tuple[int, Tally, Values]]:
    """The minutes since 1970, with what was counted and the exact values of each."""
    key = hour_key if shape.hash_minutes == 60 else day_key
    hashes = range(first // shape.hash_minutes, last // shape.hash_minutes + 1)
    answers = store.read_all(*(("HGETALL", key(each)) for each in hashes))
    for each, fields in zip(hashes, answers, strict=True):
        for field, tally in fields.items():
            at = each * shape.hash_minutes + int(field) * shape.field_minutes
            counted = json.loads(tally).items()
            yield (
                at,
                {name: int(count) for name, count in counted if not isinstance(count, list)},
                {name: exact for name, exact in counted if isinstance(exact, list)},
            )
