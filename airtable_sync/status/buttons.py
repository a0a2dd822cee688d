"""The buttons of the status page: first the one that helps in this state. None of them can fail
because of the state."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.urls import reverse

from airtable_sync.models import Run
from airtable_sync.status.health.facts import Facts
from airtable_sync.status.health.facts_for_rules import facts_for_rules


@dataclass(frozen=True)
class Button:
    """`is_post`: it acts at once. Otherwise it is a link."""

    id: str
    text: str
    url: str
    is_post: bool = False


def buttons(facts: Facts, may: Mapping[str, bool]) -> list[Button]:
    """The first is the primary one. `may` says which actions the user may use."""
    return [] if facts.running_refresh else list(_buttons(facts, may))


def _buttons(facts: Facts, may: Mapping[str, bool]) -> Iterator[Button]:
    if facts.is_paused:  # any refresh would be rejected
        if may["roll_back"]:
            yield Button("release", "Release…", reverse("cache:release"))
        return
    last = facts.last_run
    if last and last.status == Run.Status.REFUSED:
        yield Button("review", "Review", reverse("cache:run", args=[last.pk]))
    elif may["refresh"] and _is_failing(facts):
        yield Button("check-connection", "Check the connection", reverse("cache:connection"))
    if may["refresh"] and _can_refresh(facts):
        yield Button("refresh-now", "Refresh now", reverse("cache:refresh"), is_post=True)


def _can_refresh(facts: Facts) -> bool:
    """False while a refresh would certainly fail."""
    is_denied = bool(facts_for_rules(facts).access_denied) or not facts.setup.has_token
    return not (is_denied or facts.is_redis_down or facts.is_open("airtable"))


def _is_failing(facts: Facts) -> bool:
    has_failed = facts.last_run is not None and facts.last_run.status == Run.Status.FAILED
    return has_failed or not _can_refresh(facts)
