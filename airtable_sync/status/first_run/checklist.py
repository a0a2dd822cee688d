"""What a new deployment needs until its first call, and what of it is done."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.utils import timezone

from airtable_sync.models import Run
from airtable_sync.monitoring.calls.answer_log import AnswerFilter, AnswerLog
from airtable_sync.monitoring.guidance import Topic
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import Services
from airtable_sync.status.first_run.airtable_trial import RECORDS, SCHEMA, AirtableTrial

DONE = (Run.Status.PUBLISHED, Run.Status.UNCHANGED)
TEST_CALL = "Sent a test call as"  # in the admin's log
DAYS_OF_ANSWERS = 8  # that the answer log keeps
MOST_TEST_CALLS = 100


@dataclass(frozen=True)
class Item:
    title: str
    is_done: bool
    to_do: str  # while it is not done; with backticks around names
    topic: Topic  # the docs' page
    page: str = ""  # the name of the admin's page where it is done


def checklist(
    used: Services, platforms: tuple[str, ...], settings: Any, trial: AirtableTrial | None
) -> list[Item]:
    """`platforms` are those that have a secret. Without a trial, what is known without asking
    Airtable. Raises DatabaseError."""
    return [
        *_airtable(used, trial),
        *_cache(used),
        *_calls(used, platforms),
        Item(
            "Alerts are set up",
            bool(settings.ALERT_URLS),
            "Set `ALERT_URLS`, and try it with `manage.py test_alert`.",
            "alerts",
        ),
        Item(
            "A second person can log in",
            User.objects.filter(is_active=True, is_staff=True).count() > 1,
            "Add a user who can replace you, with *Staff status* and the group *Operator*.",
            "users",
            "admin:auth_user_add",
        ),
    ]


def _airtable(used: Services, trial: AirtableTrial | None) -> Iterator[Item]:
    missing = missing_variables(used)
    to_do = f"Set {' and '.join(f'`{each}`' for each in missing)}."
    if not missing:
        to_do = f"Check the token: it needs the scopes `{RECORDS}` and `{SCHEMA}`, and the base."
    # Without the calls' circuit breaker: a page must not open it.
    can_read = bool(used.call_schema.through(used.status_store).table_ids())
    if trial:
        can_read, to_do = not trial.token_problem, trial.token_problem
    yield Item("Airtable can be read: token, scopes, base", can_read, to_do, "access")
    newest = used.snapshots.newest()
    fits = newest is not None and newest.generation == used.active_mapping.source.generation
    if trial and can_read:
        fits = not trial.misfit
    propose = "Propose one from your base, look at the preview, and publish it."
    to_do = f"{trial.misfit} {propose}" if trial and trial.misfit else propose
    yield Item("The mapping fits the base", fits, to_do, "mapping", "cache:mapping")
    yield Item(
        "The base was read",
        Run.objects.filter(status__in=DONE).exists(),
        "Press “Refresh now”. The cron job does it every three hours.",
        "cron",
    )


def missing_variables(used: Services) -> list[str]:
    c = used.configuration
    values = {"AIRTABLE_API_KEY": c.airtable_api_key, "AIRTABLE_BASE_ID": c.airtable_base_id}
    return [name for name, value in values.items() if not value]


def _cache(used: Services) -> Iterator[Item]:
    has_redis = used.configuration.has_redis
    yield Item(
        "Redis answers",
        _answers(used.status_store.now),
        "It does not answer: run `manage.py check_cache`."
        if has_redis
        else "Set `REDIS_URL`: without it, an edit reaches the other processes after 30 s.",
        "redis" if has_redis else "no redis",
    )


def _calls(used: Services, platforms: tuple[str, ...]) -> Iterator[Item]:
    tests = _test_calls()
    calls = _count_calls(used, tests + 1)
    yield Item(
        "A platform's secret is set",
        bool(platforms),
        "Copy it from your platform to the variable that its page names, and restart.",
        "first platform",
    )
    yield Item(
        "The platform has Siftly's address",
        calls > tests,  # one was no test
        "Copy the address below, and enter it where the steps say."
        if platforms
        else "The address is shown here when the secret is set.",
        "first platform",
    )
    yield Item(
        "A call has arrived",
        calls > 0,
        "Send a test call, then call one of your numbers.",
        "first call",
    )


def _test_calls() -> int:
    since = timezone.now() - timedelta(days=DAYS_OF_ANSWERS)
    sent = LogEntry.objects.filter(action_time__gt=since, change_message__startswith=TEST_CALL)
    return min(sent.count(), MOST_TEST_CALLS)


def _count_calls(used: Services, limit: int) -> int:
    if used.configuration.has_redis:
        with suppress(CacheUnavailable):
            return len(AnswerLog(used.status_store).search(AnswerFilter(), limit))
    return sum(used.counters.counts.calls_by_source.values())  # what this process knows


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except CacheUnavailable:
        return False
    return True
