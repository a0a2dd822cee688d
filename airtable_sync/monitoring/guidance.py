"""What to do about a problem, and where the docs explain it: for alerts and for the status page.
This is the only place in the code that names pages of the docs."""

from typing import Literal

from django.urls import reverse

from airtable_sync.monitoring.health_rules import HealthFacts, Kind, LastRun, quota_problem

# The kinds of alerts, what only the status page shows, and its first steps.
Topic = (
    Kind
    | Literal[
        "rejected",
        "rollback",
        "no redis",
        "platforms",
        "replicas",
        "deployments",
        "eviction",
        "unknown number",
        "lookups",
        "rate limit",
        "alerts",
        "mapping",
        "first platform",
        "first call",
        "users",
    ]
)
# Pages below docs/.
DOCS: dict[Topic, str] = {
    "refresh": "problems/refresh-failed.md",
    "rejected": "problems/refresh-rejected.md",
    "cron": "problems/cron-has-not-run.md",
    "quota": "problems/airtable-quota.md",
    "access": "problems/airtable-token.md",
    "redis": "problems/redis-down.md",
    "database": "problems/database-down.md",
    "feed": "problems/change-feed.md",
    "rollback": "problems/wrong-data-published.md",
    "no redis": "problems/redis-not-configured.md",
    "platforms": "platforms.md",
    "replicas": "problems/replica-out-of-sync.md",
    "deployments": "problems/two-deployments.md",
    "eviction": "problems/redis-evicts.md",
    "unknown number": "problems/unknown-number.md",
    "lookups": "problems/slow-answers.md",
    "rate limit": "problems/airtable-429.md",
    "alerts": "guides/alerts.md",
    "mapping": "guides/mapping.md",
    "first platform": "start/your-platform.md",
    "first call": "problems/calls-rejected.md",
    "users": "guides/status-page.md",
}
PLATFORMS = "platforms/"  # a page for each

STEPS: dict[Kind, str] = {
    "cron": "Check the cron job of refresh_airtable_cache. Press “Refresh now” meanwhile.",
    "quota": "Choose a larger plan, or send fewer requests (AIRTABLE_POLL_SECONDS, the cron job's "
    "schedule).",
    "access": "Create a new token with the scopes data.records:read and schema.bases:read, set it, "
    "then run `manage.py check_cache`.",
    "redis": "Check the Redis service and REDIS_URL with `manage.py check_cache`.",
    "database": "Check the database service and DATABASE_URL.",
    "feed": "Search the log for “The change feed can't be read”.",
}
QUOTA_EXCEEDED = (
    "Choose a larger plan and run `manage.py check_cache`, or wait for the month to end."
)


def step_for_alert(kind: Kind, facts: HealthFacts) -> str:
    """What to do next."""
    if kind == "refresh":
        return step_after(facts.last_run) if facts.last_run else ""
    if kind == "quota" and quota_problem(facts) == "exceeded":
        return QUOTA_EXCEEDED
    return STEPS[kind]


def topic_of_alert(kind: Kind, facts: HealthFacts) -> Topic:
    is_rejected = facts.last_run is not None and facts.last_run.status == "refused"
    return "rejected" if kind == "refresh" and is_rejected else kind


def help_path(topic: Topic) -> str:
    """The path of the docs' page on this service."""
    return reverse("cache:help", args=[DOCS[topic].removesuffix(".md")])


def platform_page(platform: str) -> str:
    """The name of the docs' page that says where to enter the address and find the secret."""
    return f"{PLATFORMS}{platform}"


# A part of a run's message, and what to do then. The first match counts. The messages are in
# `airtable/errors.py`, `airtable/rate_limiter.py`, `refresh/validation.py`, `refresh/history.py`.
_STEPS = (
    (" 401 ", "Check AIRTABLE_API_KEY: the token is wrong, expired or revoked."),
    (" 403 ", "Check the token's scopes and its access to AIRTABLE_BASE_ID."),
    (" VIEW_", "Check the name of the view in the mapping."),
    ("a filter of [", "Correct the filter in the mapping. The message has Airtable's reason."),
    ("NOT_FOUND", "Check AIRTABLE_BASE_ID, and that the token has access to the base."),
    (
        "does not fit the base",
        "Restore the name of the field or table in Airtable, or change the mapping.",
    ),
    ("no record has", "Check in Airtable whether the field was deleted or is only empty."),
    ("while the base was read", "Press “Refresh now” when the fields have their names again."),
    ("REFRESH_", "Press “Review”. If the change is intended, publish it anyway."),
    ("no number in Airtable", "Check the numbers' table in Airtable: was it emptied or renamed?"),
    (
        "used up",
        "Choose a larger plan, or wait for the month to end. Then run `manage.py check_cache`.",
    ),
    ("BILLING_LIMIT", "Choose a larger Airtable plan, or wait for the month to end."),
    ("did not answer", "Look at status.airtable.com. The next refresh tries again."),
    ("can't be reached", "Check the network and AIRTABLE_API_URL. The next refresh tries again."),
    (
        "killed",
        "Press “Refresh now”. If it is killed again, give the job more memory or time.",
    ),
    ("Redis", "Check the Redis service, then press “Refresh now”."),
)


def step_after(run: LastRun) -> str:
    """What to do after a refresh that failed or was rejected."""
    matching = (step for text, step in _STEPS if text in run.message)
    return next(matching, "Open the run for details, then press “Refresh now”.")
