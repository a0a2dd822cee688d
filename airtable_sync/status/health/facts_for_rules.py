"""The page's facts as input of the health rules: alerts and the page use the same rules."""

from airtable_sync.monitoring.health_facts import (
    DatabaseFacts,
    ProcessFacts,
    combine_facts,
    last_run_in_database,
    redis_facts,
)
from airtable_sync.monitoring.health_rules import HealthFacts
from airtable_sync.status.health.facts import DatabaseStatus, Facts


def facts_for_rules(facts: Facts) -> HealthFacts:
    """Without the durations of outages: the page shows an outage from its first second."""
    process = ProcessFacts(
        started_at=facts.process.started_at,
        has_redis=facts.setup.has_redis,
        plan=facts.setup.plan,
        feed_interval=facts.setup.poll_seconds if facts.setup.follows_changes else None,
        access_denied=facts.process.access_denied,
        quota_exceeded=facts.process.quota_exceeded,
    )
    totals = facts.redis.totals if facts.redis else None
    redis = redis_facts(totals.usage, totals.last_runs, totals.airtable) if totals else None
    database = _database_facts(facts, facts.database) if facts.database else None
    return combine_facts(facts.at, process, redis, database)


def _database_facts(facts: Facts, database: DatabaseStatus) -> DatabaseFacts:
    return DatabaseFacts(
        last_run=last_run_in_database(facts.last_run),
        refresh_running=facts.running_refresh is not None,
        paused=database.pausing_run is not None,
        feed=database.feed,
    )
