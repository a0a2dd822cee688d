"""Something to say about the state of things."""

from dataclasses import dataclass
from typing import Literal

from airtable_sync.monitoring.health_rules import Kind

Level = Literal["bad", "attention", "note"]
RANK: dict[Level, int] = {"bad": 0, "attention": 1, "note": 2}


@dataclass(frozen=True)
class Finding:
    """`bad`: callers are, or soon will be, told less than they should. `attention`: somebody has
    to do something. `note`: good to know. `step` is what to do next. `kind` is that of an alert
    that is told for the same reason."""

    level: Level
    sentence: str
    step: str = ""
    kind: Kind | None = None
