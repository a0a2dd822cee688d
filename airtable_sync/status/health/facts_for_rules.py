"""The page's facts as alerts know them, so that both are judged alike."""

from airtable_sync.airtable.errors import QuotaExceeded
from airtable_sync.monitoring.health_facts import Kept, Own, Shared, known, of_results, of_run
from airtable_sync.monitoring.health_rules import Known
from airtable_sync.status.health.facts import DatabaseFacts, Facts, RedisFacts


def known_of(facts: Facts) -> Known:
    """An outage of Redis or the database is not among it: whoever looks sees it at once."""
    own = Own(
        up_since=facts.here.up_since,
        has_redis=facts.setup.redis,
        plan=facts.setup.plan,
        feed_interval=None if facts.setup.changes == "off" else facts.setup.poll_seconds,
        access_denied=facts.here.access_denied,
        quota_used_up=facts.here.quota_used_up,
    )
    shared = _shared(facts.redis) if facts.redis else None
    kept = _kept(facts, facts.database) if facts.database else None
    return known(facts.at, own, shared, kept)


def _shared(redis: RedisFacts) -> Shared:
    return Shared(
        month=redis.state.month,
        last_run=of_results(redis.state.runs),
        feed_read_at=redis.feed_read_at,
        access_denied=redis.access_denied,
        quota_used_up=redis.blocked_by == QuotaExceeded.__name__,
        held=redis.held,
    )


def _kept(facts: Facts, database: DatabaseFacts) -> Kept:
    return Kept(
        last_run=of_run(facts.last_run),
        running=facts.running is not None,
        held=database.holding is not None,
        feed=database.feed,
    )
