"""What this process did, counted in memory: a call pays a few additions for it, and no I/O."""

from collections import Counter, defaultdict
from typing import Any

_answers: Counter[str] = Counter()
_asked: Counter[str] = Counter()
_seconds: defaultdict[str, float] = defaultdict(float)
_failures: Counter[str] = Counter()


def answered(source: str, spent: dict[str, float]) -> None:
    """An answer went out; `spent` holds the seconds of each tier that was asked for it."""
    _answers[source] += 1
    for tier, seconds in spent.items():
        _asked[tier] += 1
        _seconds[tier] += seconds


def edit_live(seconds: float) -> None:
    pass


def failed(tier: str) -> None:
    _failures[tier] += 1


def snapshot() -> dict[str, Any]:
    """Everything since the process started."""
    tiers = {
        tier: {
            "asked": asked,
            "failed": _failures[tier],
            "mean_ms": round(_seconds[tier] / asked * 1000, 3),
        }
        for tier, asked in _asked.items()
    }
    return {"answers": dict(_answers), "tiers": tiers}
