"""What a new deployment needs until its first call, and what of it is done."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User

from airtable_sync.models import Run
from airtable_sync.monitoring.calls.answer_log import AnswerFilter, AnswerLog
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import Services

DONE = (Run.Status.PUBLISHED, Run.Status.UNCHANGED)


@dataclass(frozen=True)
class Item:
    title: str
    is_done: bool
    to_do: str = ""  # while it is not done; with backticks around names
    page: str = ""  # the name of the page that helps


def checklist(used: Services, platforms: tuple[str, ...], settings: Any) -> list[Item]:
    """`platforms` are those that have a secret. Raises DatabaseError."""
    return [
        *_airtable(used),
        *_cache(used),
        *_calls(used, platforms),
        Item(
            "Alerts are set up",
            bool(settings.ALERT_URLS),
            "Set `ALERT_URLS`, and try it with `manage.py test_alert` (see docs/guides/alerts.md).",
        ),
        Item(
            "A second person can log in",
            User.objects.filter(is_active=True, is_staff=True).count() > 1,
            "Add a user who can replace you.",
            "admin:auth_user_changelist",
        ),
    ]


def _airtable(used: Services) -> Iterator[Item]:
    c = used.configuration
    missing = [
        name
        for name, value in (
            ("AIRTABLE_API_KEY", c.airtable_api_key),
            ("AIRTABLE_BASE_ID", c.airtable_base_id),
        )
        if not value
    ]
    scopes = "Check the token: it needs the scopes `data.records:read` and `schema.bases:read`."
    yield Item(
        "Airtable answers",
        # Without the calls' circuit breaker: a page must not open it.
        bool(used.call_schema.through(used.status_store).table_ids()),
        f"Set {' and '.join(f'`{each}`' for each in missing)}." if missing else scopes,
    )
    newest = used.snapshots.newest()
    generation = used.active_mapping.source.generation
    is_of_mapping = newest is not None and newest.generation == generation
    yield Item(
        "The mapping fits the base",
        is_of_mapping,
        "Propose one from your base, look at the preview, and publish it.",
        "cache:mapping",
    )
    yield Item(
        "The base was read",
        Run.objects.filter(status__in=DONE).exists(),
        "Press “Refresh now”. The cron job does it every three hours.",
    )


def _cache(used: Services) -> Iterator[Item]:
    to_do = "Set `REDIS_URL`: without it, an edit reaches the other processes after 30 s."
    if used.configuration.has_redis:
        to_do = "It does not answer: run `manage.py check_cache`."
    yield Item("Redis answers", _answers(used.status_store.now), to_do)


def _calls(used: Services, platforms: tuple[str, ...]) -> Iterator[Item]:
    has_calls = _has_calls(used)
    yield Item(
        "A platform's secret is set",
        bool(platforms),
        "Copy it from your platform to the setting that docs/platforms.md names.",
    )
    yield Item(
        "A call has arrived",
        has_calls,
        "Enter Siftly's address at your platform (docs/platforms.md says where), then call one of "
        "your numbers. Or send a test call.",
    )


def _has_calls(used: Services) -> bool:
    if not used.configuration.has_redis:
        return bool(used.counters.counts.calls_by_source)
    try:
        return bool(AnswerLog(used.status_store).search(AnswerFilter(), 1))
    except CacheUnavailable:  # what this process knows
        return bool(used.counters.counts.calls_by_source)


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except CacheUnavailable:
        return False
    return True
