"""What became of a refresh that the user has started: the page's address remembers it, so the
status page shows it in one place, from "starting" to the result."""

import re
import time
from dataclasses import dataclass
from typing import Literal, Self

from django.db import DatabaseError

from airtable_sync.models import Run
from airtable_sync.status.health.facts import Facts

START_SECONDS = 30.0  # starting Django takes a few seconds on a busy machine
_FORMAT = re.compile(r"([0-9]{1,18})-([0-9]{1,12})")


@dataclass(frozen=True)
class StartedAction:
    """`run_before` is the newest run when it was started; `at` in seconds since 1970."""

    run_before: int
    at: int

    @classmethod
    def now(cls) -> Self:
        try:
            newest = Run.objects.order_by("-id").values_list("id", flat=True).first()
        except DatabaseError:
            newest = None
        return cls(newest or 0, int(time.time()))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        match = _FORMAT.fullmatch(text)
        return cls(int(match[1]), int(match[2])) if match else None

    def __str__(self) -> str:
        return f"{self.run_before}-{self.at}"


@dataclass(frozen=True)
class Outcome:
    state: Literal["starting", "running", "ended", "missing"]
    run: Run | None = None


def outcome_of(started: StartedAction | None, facts: Facts, user: str) -> Outcome | None:
    """None if nothing was started, or if the run is not among the newest any more."""
    if not started or not facts.database:
        return None
    runs = [each for each in facts.database.runs if each.pk > started.run_before]
    own = [each for each in runs if each.trigger == Run.Trigger.ADMIN and each.user == user]
    if own:
        run = own[-1]
        return Outcome("ended" if run.ended_at else "running", run)
    if facts.at.timestamp() - started.at < START_SECONDS:
        return Outcome("starting")
    return None if runs else Outcome("missing")
