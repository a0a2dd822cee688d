"""Answers a minute as stacked bars, one path a source: small, without a script, told in words and
in a table beside it."""

from dataclasses import dataclass
from datetime import datetime

from airtable_sync.monitoring.metrics.time_series import History
from airtable_sync.status.display.units import NONE, short

SOURCES = ("memory", "redis", "stale", "airtable", "default")  # from the best to the worst
WIDTH, HEIGHT, GAP = 840.0, 160.0, 0.18  # of the drawing; the gap is a share of a bar
TICKS = 4
SPANS = {"hour": "the last hour", "day": "the last day", "week": "the last week"}


@dataclass(frozen=True)
class Row:
    """A source in the legend, which is the chart's table as well."""

    source: str
    path: str
    answers: int
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
    description: str
    rows: list[Row]
    ticks: list[Tick]
    labels: list[datetime]
    times: list[tuple[datetime, list[int]]]  # answers of each point, by source
    answers: int
    share_from_cache: float | None
    span: str


def of(history: History) -> Chart:
    minutes = history.step.total_seconds() / 60
    counts = [[point.counts.by_source.get(s, 0) for s in SOURCES] for point in history.points]
    top = _round_up(max((sum(each) / minutes for each in counts), default=0))
    paths = _paths([[each / minutes / top for each in bar] for bar in counts])
    total = history.total
    by_source = total.by_source
    answers = sum(by_source.values())
    points = history.points
    every = len(points) // TICKS
    return Chart(
        title=f"Calls a minute by source, {SPANS[history.span]}",
        description=_described(by_source, answers, max(map(sum, counts), default=0) / minutes),
        rows=[_row(history, s, path, answers) for s, path in zip(SOURCES, paths, strict=True)],
        ticks=[Tick(HEIGHT * (1 - part), f"{top * part:g}") for part in (1, 0.5, 0)],
        labels=[*(points[place].start for place in range(0, len(points), every)), points[-1].start],
        times=[(p.start, c) for p, c in zip(points, counts, strict=True) if sum(c)],
        answers=answers,
        share_from_cache=total.share_from_cache,
        span=history.span,
    )


def _row(history: History, source: str, path: str, answers: int) -> Row:
    latency, count = history.total.latency, history.total.by_source.get(source, 0)
    quantiles = [
        short(latency[source].quantile(each)) if source in latency else NONE
        for each in (0.5, 0.95, 0.99)
    ]
    return Row(source, path, count, count / answers if answers else None, *quantiles)


def _paths(bars: list[list[float]]) -> list[str]:
    """For each source, one rectangle a bar on top of those before it."""
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
    """The next 1, 2 or 5 and noughts."""
    if value <= 0:
        return 1.0
    power = 10.0 ** (len(f"{int(value)}") - 1) if value >= 1 else 0.1
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _described(by_source: dict[str, int], answers: int, most: float) -> str:
    if not answers:
        return "No calls."
    parts = ", ".join(f"{by_source[s]:,} from {s}" for s in SOURCES if by_source.get(s))
    return f"{answers:,} calls: {parts}. At most {most:,.1f} a minute."
