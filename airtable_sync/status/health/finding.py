"""A finding: one sentence about the state, with its gravity and the next step."""

from dataclasses import dataclass
from typing import Literal

from airtable_sync.monitoring.guidance import Topic, help_path
from airtable_sync.monitoring.health_rules import Kind

Level = Literal["bad", "attention", "note"]
RANK: dict[Level, int] = {"bad": 0, "attention": 1, "note": 2}


@dataclass(frozen=True)
class Finding:
    """`bad`: callers get less information than they should, or soon will. `attention`: a person has
    to act. `note`: for information. `step` is what to do next. `kind` is the alert for the same
    problem, if there is one. `topic` is what the docs explain, if it is not `kind`."""

    level: Level
    sentence: str
    step: str = ""
    kind: Kind | None = None
    topic: Topic | None = None

    @property
    def help_path(self) -> str:
        """Where the docs explain it; "" if they don't."""
        topic = self.topic or self.kind
        return help_path(topic) if topic else ""
