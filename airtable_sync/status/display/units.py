"""Figures as people read them."""

from datetime import UTC, datetime, timedelta

NONE = "\u2013"
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"))


def count(number: int, thing: str, things: str = "") -> str:
    """1 number; 1,050 numbers."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def lasting(span: timedelta | float) -> str:
    """In the largest unit that fits, rounded: "12 minutes", "3 hours"; 47 hours are still hours."""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    for size, unit in _UNITS:
        if seconds >= (2 * size if unit == "day" else size):
            return count(round(seconds / size), unit)
    return count(max(0, int(seconds)), "second")


def ago(moment: datetime, now: datetime | None = None) -> str:
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    if seconds < 0:
        return f"in {lasting(-seconds)}"
    return f"{lasting(seconds)} ago" if seconds >= 1 else "just now"


def short(seconds: float | None) -> str:
    """A duration that is measured: "0.21 ms", "85 ms", "1.2 s"."""
    if seconds is None:
        return NONE
    if seconds < 0.001:
        return f"{seconds * 1000:.2f} ms"
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else lasting(seconds)


def size(number: int) -> str:
    """Bytes."""
    units = ("bytes", "KiB", "MiB", "GiB")
    value, place = float(number), 0
    while value >= 1024 and place < len(units) - 1:
        value, place = value / 1024, place + 1
    return (
        f"{value:.0f} {units[place]}" if value >= 10 or not place else f"{value:.1f} {units[place]}"
    )


def share(part: float | None) -> str:
    """A share of one: never rounded up to all, nor down to nothing."""
    if part is None:
        return NONE
    if 0.999 <= part < 1:
        return "99.9 %"
    return f"{part * 100:.1f} %".replace(".0 %", " %")
