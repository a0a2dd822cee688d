"""What the status page knows when it is drawn. A part that is away is None, with its trouble."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airtable_sync.airtable.quota import PLANS
from airtable_sync.models import ChangeFeed, Override, Run, Snapshot
from airtable_sync.monitoring.calls.unknown_numbers import UnknownNumber
from airtable_sync.monitoring.metrics.counts import Counts
from airtable_sync.monitoring.metrics.histogram import PROPAGATION, Histogram
from airtable_sync.monitoring.metrics.time_series import History
from airtable_sync.monitoring.metrics.totals import State
from airtable_sync.refresh.cron_monitor import INTERVAL_SECONDS


@dataclass(frozen=True)
class Setup:
    """What the environment says."""

    redis: bool = True
    airtable: bool = True
    platforms: tuple[str, ...] = ("retell",)  # those with a secret
    changes: str = "off"
    poll_seconds: float = 0.0  # between two readings of the change feed
    ttl_seconds: int = 10_800
    stale_seconds: int = 86_400
    plan: str = ""


@dataclass(frozen=True)
class Here:
    """What the process that draws the page knows by itself."""

    entries: int = 0
    known: int = 0
    complete: bool = False
    in_sync: bool = False
    confirmed_at: int = 0  # ms
    breakers: dict[str, str] = field(default_factory=dict)  # name -> closed, open or half_open
    counts: Counts = field(default_factory=Counts)  # since it started
    up_since: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    access_denied: str = ""  # Airtable's word to this process
    quota_used_up: bool = False  # as its host was told


@dataclass(frozen=True)
class RedisFacts:
    """Moments are in milliseconds since 1970; 0: never."""

    state: State
    hour: Counts
    history: History
    unknown: list[UnknownNumber]
    latency_seconds: float
    memory_bytes: int
    max_memory_bytes: int  # 0: no limit
    held: bool
    refresh_lock_taken: bool
    feed_read_at: int
    blocked_by: str  # why Airtable is not asked: "", RateLimited or QuotaExceeded
    blocked_seconds: float
    access_denied: str = ""  # Airtable's word to any process

    @property
    def drained_seconds(self) -> float:
        return self.feed_read_at / 1000


@dataclass(frozen=True)
class DatabaseFacts:
    runs: list[Run]  # newest first
    sets: dict[int, Snapshot]  # by run; without their content
    holding: Run | None
    pins: list[Override]
    feed: ChangeFeed | None
    lease: bool  # somebody refreshes, where there is no Redis to say so
    expected: dict[str, int]  # records a table, the last time

    @property
    def newest_snapshots(self) -> list[Snapshot]:
        """Newest first."""
        return sorted(self.sets.values(), key=lambda each: -each.pk)

    @property
    def newest_snapshot(self) -> Snapshot | None:
        return next(iter(self.newest_snapshots), None)


@dataclass(frozen=True)
class Facts:
    at: datetime
    setup: Setup = field(default_factory=Setup)
    here: Here = field(default_factory=Here)
    redis: RedisFacts | None = None
    redis_trouble: str = ""
    database: DatabaseFacts | None = None
    database_trouble: str = ""

    @property
    def redis_away(self) -> bool:
        return self.setup.redis and self.redis is None

    @property
    def confirmed_at(self) -> datetime | None:
        """When all of Airtable was read, or found unchanged, last."""
        known = [self.here.confirmed_at / 1000]
        if self.redis:
            known.append(self.redis.state.confirmed_at)
        elif self.database and self.database.newest_snapshot:
            known.append(self.database.newest_snapshot.confirmed_at / 1000)
        latest = min(max(known), self.at.timestamp())
        return datetime.fromtimestamp(latest, UTC) if latest else None

    @property
    def age(self) -> timedelta | None:
        return self.at - self.confirmed_at if self.confirmed_at else None

    @property
    def numbers(self) -> int | None:
        """In Airtable, by the last reading of all of it."""
        if self.redis and self.redis.state.numbers is not None:
            return self.redis.state.numbers
        newest = self.database.newest_snapshot if self.database else None
        return newest.numbers if newest else None

    @property
    def cached(self) -> int | None:
        """How many numbers are cached; None where this process can't tell."""
        return self.here.known if self.here.complete else None

    @property
    def running(self) -> Run | None:
        """The refresh or rollback that runs now."""
        if not self.database:
            return None
        is_leased = self.redis.refresh_lock_taken if self.redis else self.database.lease
        newest = next(iter(self.database.runs), None)
        if newest is None or newest.status != Run.Status.RUNNING or not is_leased:
            return None
        return newest

    @property
    def last_run(self) -> Run | None:
        """The newest that ended."""
        runs = self.database.runs if self.database else []
        return next((each for each in runs if each.ended_at), None)

    @property
    def allowed(self) -> int | None:
        """Requests a month; None if there is no limit, or the plan is not known."""
        return PLANS.get(self.setup.plan)

    @property
    def next_refresh(self) -> datetime | None:
        """Reckoned from the last one."""
        last = self.last_run
        return last.started_at + timedelta(seconds=INTERVAL_SECONDS) if last else None

    @property
    def lag(self) -> Histogram:
        """From an edit to its being live: within the shown time or, without edits, ever."""
        if not self.redis:
            return Histogram(PROPAGATION)
        shown = self.redis.history.total.propagation
        return shown if shown.count else self.redis.state.counts.propagation

    @property
    def lag_median(self) -> float | None:
        return self.lag.quantile(0.5)

    @property
    def lag_most(self) -> float | None:
        return self.lag.quantile(0.95)

    @property
    def breaker_words(self) -> dict[str, str]:
        """What people read of each breaker."""
        return {
            name: f"{', '.join(sorted(states)).replace('_', ' ')}: "
            + ("tried now and then" if self.is_open(name) else "asked as usual")
            for name, states in self.breakers.items()
        }

    def is_open(self, breaker: str) -> bool:
        """Whether any process leaves this one alone."""
        return bool(self.breakers.get(breaker, set()) - {"closed"})

    @property
    def breakers(self) -> dict[str, set[str]]:
        """The states of each breaker, over all processes."""
        processes = self.redis.state.processes if self.redis else []
        told: list[dict[str, Any]] = [self.here.breakers, *(each.breakers for each in processes)]
        names = sorted({name for each in told for name in each})
        return {name: {each[name] for each in told if name in each} for name in names}
