"""The chart of calls per minute: stacked bars as SVG, one path per source. It needs no script. A
description and a table give the same values as text."""

from dataclasses import dataclass
from datetime import datetime

from airtable_sync.monitoring.export.time_series import TimeSeries
from airtable_sync.status.display.units import NONE, short_duration

SOURCES = ("memory", "redis", "stale", "airtable", "default")  # the fastest first
WIDTH, HEIGHT = 840.0, 160.0  # of the drawing, as in calls.html
GAP = 0.18  # between two bars, as a share of a bar
TICKS = 4
# What a bar shows. A bar of a day or a week is a mean: a short peak in it is higher.
UNITS = {
    "hour": "Calls per minute",
    "day": "Calls per minute, mean of 15 minutes",
    "week": "Calls per minute, mean of an hour",
}
SPANS = {"hour": "the last hour", "day": "the last day", "week": "the last week"}


@dataclass(frozen=True)
class SourceRow:
    """A source in the chart, in its legend and in the table of durations."""

    source: str
    path: str
    calls: int
    share: float | None
    p50: str
    p95: str
    p99: str


@dataclass(frozen=True)
class Tick:
    y: float
    label: str


@dataclass(frozen=True)
class Chart:
    title: str
    unit: str
    description: str
    rows: list[SourceRow]
    ticks: list[Tick]
    labels: list[datetime]
    table: list[tuple[datetime, list[int]]]  # each point with calls: its start, calls by source
    calls: int
    cache_share: float | None
    span: str


def calls_chart(series: TimeSeries) -> Chart:
    minutes = series.step.total_seconds() / 60
    points = series.points
    counts = [[point.counts.calls_by_source.get(s, 0) for s in SOURCES] for point in points]
    top = _round_up(max((sum(each) / minutes for each in counts), default=0))
    paths = _paths([[each / minutes / top for each in bar] for bar in counts])
    by_source = series.total.calls_by_source
    calls = sum(by_source.values())
    most = max(map(sum, counts), default=0) / minutes
    every = len(points) // TICKS
    return Chart(
        title=f"{UNITS[series.span]}, by source, in {SPANS[series.span]}",
        unit=UNITS[series.span],
        description=_description(by_source, calls, most, UNITS[series.span]),
        rows=[_row(series, s, path, calls) for s, path in zip(SOURCES, paths, strict=True)],
        ticks=[Tick(HEIGHT * (1 - part), f"{top * part:g}") for part in (1, 0.5, 0)],
        labels=[*(points[place].start for place in range(0, len(points), every)), points[-1].start],
        table=[(p.start, c) for p, c in zip(points, counts, strict=True) if sum(c)],
        calls=calls,
        cache_share=series.total.cache_share,
        span=series.span,
    )


def _row(series: TimeSeries, source: str, path: str, calls: int) -> SourceRow:
    latency, count = series.total.latency, series.total.calls_by_source.get(source, 0)
    quantiles = [
        short_duration(latency[source].quantile(each)) if source in latency else NONE
        for each in (0.5, 0.95, 0.99)
    ]
    return SourceRow(source, path, count, count / calls if calls else None, *quantiles)


def _paths(bars: list[list[float]]) -> list[str]:
    """One SVG path per source. Each bar has a rectangle per source, stacked."""
    step = WIDTH / max(1, len(bars))
    width = step * (1 - GAP)
    paths = [""] * len(SOURCES)
    for place, bar in enumerate(bars):
        top = HEIGHT
        for source, part in enumerate(bar):
            if part:
                height = part * HEIGHT
                top -= height
                x = place * step + step * GAP / 2
                paths[source] += f"M{x:.1f} {top:.1f}h{width:.1f}v{height:.1f}h-{width:.1f}z"
    return paths


def _round_up(value: float) -> float:
    """To 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** (len(f"{int(value)}") - 1) if value >= 1 else 0.1
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _description(by_source: dict[str, int], calls: int, most: float, unit: str) -> str:
    if not calls:
        return "No calls."
    parts = ", ".join(f"{by_source[s]:,} from {s}" for s in SOURCES if by_source.get(s))
    return f"{calls:,} calls: {parts}. {unit}: at most {most:,.1f}."
