"""Numbers, durations and sizes as text."""

from datetime import UTC, datetime, timedelta

NONE = "\u2013"
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"))
_SIZES = ("bytes", "KiB", "MiB", "GiB")


def count(number: int, thing: str, things: str = "") -> str:
    """1 number; 1,050 numbers."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def long_duration(span: timedelta | float) -> str:
    """In the largest unit that fits, rounded: "12 minutes", "3 hours". Days start at two: "47
    hours". A number is in seconds."""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    for length, unit in _UNITS:
        if seconds >= (2 * length if unit == "day" else length):
            return count(round(seconds / length), unit)
    return count(max(0, int(seconds)), "second")


def ago(moment: datetime, now: datetime | None = None) -> str:
    """Relative to now: "5 minutes ago", "in 2 hours"."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    if seconds < 0:
        return f"in {long_duration(-seconds)}"
    return f"{long_duration(seconds)} ago" if seconds >= 1 else "just now"


def short_duration(seconds: float | None) -> str:
    """A measured duration: "0.21 ms", "85 ms", "1.2 s"."""
    if seconds is None:
        return NONE
    if seconds < 0.001:
        return f"{seconds * 1000:.2f} ms"
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else long_duration(seconds)


def size(number: int) -> str:
    """Of bytes: "512 bytes", "1.5 MiB"."""
    value, place = float(number), 0
    while value >= 1024 and place < len(_SIZES) - 1:
        value, place = value / 1024, place + 1
    decimals = 0 if value >= 10 or not place else 1
    return f"{value:.{decimals}f} {_SIZES[place]}"


def share(part: float | None) -> str:
    """As a percentage. Only a complete share is "100 %"."""
    if part is None:
        return NONE
    if 0.999 <= part < 1:
        return "99.9 %"
    return f"{part * 100:.1f} %".replace(".0 %", " %")
