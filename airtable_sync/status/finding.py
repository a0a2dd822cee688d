"""Something to say about the state of things."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["bad", "attention", "note"]
RANK: dict[Level, int] = {"bad": 0, "attention": 1, "note": 2}


@dataclass(frozen=True)
class Finding:
    """`bad`: callers are, or soon will be, told less than they should. `attention`: somebody has
    to do something. `note`: good to know. `step` is what to do next."""

    level: Level
    sentence: str
    step: str = ""
