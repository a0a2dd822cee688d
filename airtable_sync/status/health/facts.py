"""The facts that the status page shows and judges. A part that does not answer is None, with its
error."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from airtable_sync.airtable.limits.quota import PLANS
from airtable_sync.models import ChangeFeed, Override, Run, Snapshot
from airtable_sync.monitoring.calls.unknown_numbers import UnknownNumber
from airtable_sync.monitoring.export.airtable_status import AirtableStatus
from airtable_sync.monitoring.export.time_series import TimeSeries
from airtable_sync.monitoring.export.totals import Totals
from airtable_sync.monitoring.health_rules import CRON_OVERDUE
from airtable_sync.monitoring.metrics.counts import Counts
from airtable_sync.monitoring.metrics.histogram import PROPAGATION, Histogram
from airtable_sync.redis_client.server_info import ServerInfo
from airtable_sync.status.health.cron_times import next_start
from airtable_sync.status.health.records_to_fix import RecordsToFix


@dataclass(frozen=True)
class Setup:
    """From the environment."""

    has_redis: bool = True
    has_token: bool = True  # and a base
    platforms: tuple[str, ...] = ("retell",)  # those with a secret
    changes: str = "off"  # off, poll or push
    poll_seconds: float = 0.0  # between two readings of the change feed
    ttl_seconds: int = 10_800
    stale_seconds: int = 86_400
    plan: str = ""
    fingerprint: str = ""  # of the mapping and the served numbers
    has_alerts: bool = True

    @property
    def follows_changes(self) -> bool:
        return self.changes != "off"

    @property
    def lifetime(self) -> timedelta:
        """How long an entry may be served."""
        return timedelta(seconds=self.ttl_seconds + self.stale_seconds)


@dataclass(frozen=True)
class ProcessStatus:
    """The process that renders the page."""

    entries: int = 0
    known_numbers: int = 0
    complete: bool = False  # its replica has every entry
    in_sync: bool = False
    confirmed_at: int = 0  # ms: when all of Airtable was last read, or confirmed unchanged
    circuit_breakers: dict[str, str] = field(default_factory=dict)  # closed, open or half_open
    counts: Counts = field(default_factory=Counts)  # since it started
    started_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    access_denied: str = ""  # Airtable's message to this process
    quota_exceeded: bool = False  # by the state that the processes of this machine share


@dataclass(frozen=True)
class RedisStatus:
    totals: Totals
    last_hour: Counts
    time_series: TimeSeries  # of the span that the page shows
    unknown_numbers: list[UnknownNumber]
    latency_seconds: float
    server: ServerInfo
    is_refresh_locked: bool
    blocked_seconds: float  # until Airtable is asked again
    last_failed_lookup_at: datetime | None = None  # within the last hour, to the minute

    @property
    def airtable(self) -> AirtableStatus:
        return self.totals.airtable

    @property
    def feed_read_at(self) -> float:
        """Seconds since 1970; 0: never."""
        return self.airtable.feed_read_at / 1000


@dataclass(frozen=True)
class DatabaseStatus:
    runs: list[Run]  # newest first
    snapshots: list[Snapshot]  # newest first, without their content
    pausing_run: Run | None  # the rollback that pauses publishing
    overrides: list[Override]
    feed: ChangeFeed | None
    is_refresh_locked: bool  # where there is no Redis
    expected_records: dict[str, int]  # count of each step of the last complete run
    cron_starts: list[datetime] = field(default_factory=list)  # of the last runs, newest first
    last_success: Run | None = None  # the newest run that published, or found nothing to change
    records_to_fix: RecordsToFix | None = None

    @property
    def newest_snapshot(self) -> Snapshot | None:
        return next(iter(self.snapshots), None)

    @property
    def snapshot_runs(self) -> set[int]:
        """The ids of the runs that have a snapshot."""
        return {each.run_id for each in self.snapshots}


@dataclass(frozen=True)
class Facts:
    at: datetime
    setup: Setup = field(default_factory=Setup)
    process: ProcessStatus = field(default_factory=ProcessStatus)
    redis: RedisStatus | None = None
    redis_error: str = ""
    database: DatabaseStatus | None = None
    database_error: str = ""

    @property
    def is_redis_down(self) -> bool:
        return self.setup.has_redis and self.redis is None

    @property
    def confirmed_at(self) -> datetime | None:
        """When all of Airtable was last read, or confirmed unchanged."""
        known = [self.process.confirmed_at / 1000]
        if self.redis:
            known.append(self.redis.totals.confirmed_at)
        elif self.database and self.database.newest_snapshot:
            known.append(self.database.newest_snapshot.confirmed_at / 1000)
        latest = min(max(known), self.at.timestamp())
        return datetime.fromtimestamp(latest, UTC) if latest else None

    @property
    def age(self) -> timedelta | None:
        return self.at - self.confirmed_at if self.confirmed_at else None

    @property
    def published_numbers(self) -> int | None:
        """Known numbers in Redis: the last publication, and the changes since."""
        if self.redis and self.redis.totals.numbers is not None:
            return self.redis.totals.numbers
        newest = self.database.newest_snapshot if self.database else None
        return newest.numbers if newest else None

    @property
    def other_count_in_airtable(self) -> int | None:
        """The numbers that the last refresh read, if it was rejected: they are not published."""
        last = self.last_run
        is_rejected = last is not None and last.status == Run.Status.REFUSED
        return last.numbers or None if last and is_rejected else None

    @property
    def cached_numbers(self) -> int | None:
        """None if this process does not have all entries."""
        return self.process.known_numbers if self.process.complete else None

    @property
    def running_refresh(self) -> Run | None:
        """The refresh or rollback that is running. One that was killed lost its lock."""
        if not self.database:
            return None
        is_locked = (self.redis or self.database).is_refresh_locked
        newest = next(iter(self.database.runs), None)
        return newest if newest and newest.status == Run.Status.RUNNING and is_locked else None

    @property
    def last_run(self) -> Run | None:
        """The newest run that has ended."""
        runs = self.database.runs if self.database else []
        return next((each for each in runs if each.ended_at), None)

    @property
    def is_paused(self) -> bool:
        """Whether a rollback pauses publishing."""
        in_redis = self.redis is not None and self.redis.airtable.paused
        return in_redis or (self.database is not None and self.database.pausing_run is not None)

    @property
    def quota_limit(self) -> int | None:
        """Requests per month. None if there is no limit, or the plan is unknown."""
        return PLANS.get(self.setup.plan)

    @property
    def next_refresh_at(self) -> datetime | None:
        """The cron job's next run, estimated from its last runs. None if there was none lately, or
        if publishing is paused."""
        starts = self.database.cron_starts if self.database else []
        is_running = bool(starts) and self.at - starts[0] <= CRON_OVERDUE
        return next_start(starts) if is_running and not self.is_paused else None

    @property
    def next_refresh_note(self) -> str:
        """What `next_refresh_at` can't say."""
        if self.is_paused:
            return "publishing is paused until “Release”"
        if self.next_refresh_at:
            return "by the cron job"
        if not self.database:
            return "not known"
        since = "lately" if self.database.cron_starts else "yet"
        return f"none planned: no cron job has refreshed {since}"

    @property
    def propagation(self) -> Histogram:
        """From an edit in Airtable until it was live: in the shown span; if it has no edits, since
        Redis was set up."""
        if not self.redis:
            return Histogram(PROPAGATION)
        shown = self.redis.time_series.total.propagation
        return shown if shown.count else self.redis.totals.counts.propagation

    @property
    def propagation_p50(self) -> float | None:
        return self.propagation.quantile(0.5)

    @property
    def propagation_p95(self) -> float | None:
        return self.propagation.quantile(0.95)

    @property
    def failed_lookups(self) -> int:
        """Calls within the last hour that got the defaults because Airtable gave no answer."""
        return self.redis.last_hour.tier_failures["airtable"] if self.redis else 0

    @property
    def circuit_breakers(self) -> dict[str, set[str]]:
        """Name -> its states in all processes."""
        processes = self.redis.totals.processes if self.redis else []
        all_states = [self.process.circuit_breakers, *(each.circuit_breakers for each in processes)]
        names = sorted({name for each in all_states for name in each})
        return {name: {each[name] for each in all_states if name in each} for name in names}

    @property
    def circuit_breaker_texts(self) -> dict[str, str]:
        """Name -> its states in all processes, as text."""
        return {name: _breaker_text(states) for name, states in self.circuit_breakers.items()}

    def is_open(self, name: str) -> bool:
        """Whether this circuit breaker is open or half-open in at least one process."""
        return bool(self.circuit_breakers.get(name, set()) - {"closed"})


def _breaker_text(states: set[str]) -> str:
    """What the processes do; see `redis_client/circuit_breaker.py`."""
    if states == {"closed"}:
        return "closed: all processes normal"
    if "closed" in states:
        return "some processes paused, others normal"
    return "open: all processes paused, and try again every few seconds"
