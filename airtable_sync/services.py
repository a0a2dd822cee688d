"""The objects of a process, built once from the settings. This is the only place that builds them;
everything else gets what it needs as arguments."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from django.apps import apps
from interlock import CircuitBreaker

from airtable_sync.airtable.access import AirtableAccess
from airtable_sync.airtable.circuit_breaker import airtable_circuit_breaker
from airtable_sync.airtable.client import AirtableBase, AirtableClient
from airtable_sync.airtable.limits.rate_limiter import (
    STARTS_PER_WINDOW,
    WINDOW_SECONDS,
    RateLimiter,
)
from airtable_sync.airtable.limits.rate_limiter_file import HostFile, host_file_path
from airtable_sync.airtable.limits.request_limits import (
    CALL_LIMITS,
    CHANGE_LIMITS,
    PROBE_LIMITS,
    REFRESH_LIMITS,
    RequestLimits,
)
from airtable_sync.cache.database_target import DatabaseTarget
from airtable_sync.cache.generations import Generations
from airtable_sync.cache.lifetimes import TOMBSTONE_SECONDS, Lifetimes
from airtable_sync.cache.overrides import Overrides
from airtable_sync.cache.processes import Heartbeat
from airtable_sync.cache.publish_target import PublishTarget
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.cache.redis_target import RedisTarget
from airtable_sync.cache.replica import Replica
from airtable_sync.cache.snapshot_fallback import SnapshotFallback
from airtable_sync.cache.snapshots import Snapshots
from airtable_sync.cache.two_targets import TwoTargets
from airtable_sync.changes.affected import AffectedNumbers
from airtable_sync.changes.apply import ChangeFeedReader
from airtable_sync.changes.follower import ChangeFeedFollower
from airtable_sync.changes.polling import Polling
from airtable_sync.changes.shared_state import SharedFeedState
from airtable_sync.changes.unchanged import UnchangedCheck
from airtable_sync.changes.webhook_subscription import WebhookSubscription, notification_url_for
from airtable_sync.configuration import Configuration
from airtable_sync.lookup.airtable_lookup import AirtableLookup
from airtable_sync.lookup.answerer import Answerer
from airtable_sync.lookup.caching_lookup import CachingLookup
from airtable_sync.lookup.guarded_lookup import GuardedLookup
from airtable_sync.lookup.leases import LookupLeases
from airtable_sync.lookup.single_flight import SingleFlight
from airtable_sync.lookup.unknown_number import UnknownNumber
from airtable_sync.mapping.active_mapping import ActiveMapping
from airtable_sync.mapping.base_schema import BaseSchema
from airtable_sync.mapping.invalid_records import InvalidRecords
from airtable_sync.mapping.parts import CONTACTS
from airtable_sync.mapping.platform_rules import PlatformRules
from airtable_sync.mapping.source import MappingSource
from airtable_sync.mapping.versions import MappingVersions
from airtable_sync.monitoring.calls.answer_log import AnswerLogWriter
from airtable_sync.monitoring.calls.recorder import CallRecorder
from airtable_sync.monitoring.export.flush import MetricsFlusher
from airtable_sync.monitoring.export.prometheus import PrometheusExport
from airtable_sync.monitoring.export.refresh_results import RefreshResults
from airtable_sync.monitoring.export.unflushed_counts import UnflushedCounts
from airtable_sync.monitoring.metrics.counters import Counters
from airtable_sync.redis_client.circuit_breaker import redis_circuit_breaker
from airtable_sync.redis_client.namespace import Namespace
from airtable_sync.refresh.history import RunHistory
from airtable_sync.refresh.other_deployments import OtherDeployments
from airtable_sync.refresh.refresh import OF_CHANGE_FEED, Refresh, RefreshParts
from airtable_sync.refresh.rollback import Rollback
from airtable_sync.refresh.validation import Validation

CONTACTS_MAX_BYTES = 60 * 1024 * 1024  # of a process; above it a call reads Redis once


@dataclass(frozen=True)
class Services:
    """Redis stores differ in their time limits (`siftly/caches.py`). `call_store` has a circuit
    breaker; `status_store` has the same limits without one: looking must not change what calls
    do."""

    configuration: Configuration
    active_mapping: ActiveMapping
    mapping_versions: MappingVersions
    redis_circuit_breaker: CircuitBreaker
    airtable_circuit_breaker: CircuitBreaker
    call_store: RedisStore
    command_store: RedisStore
    contact_store: RedisStore
    background_store: RedisStore
    status_store: RedisStore
    replica: Replica
    contacts: Replica
    snapshots: Snapshots
    overrides: Overrides
    snapshot_fallback: SnapshotFallback
    target: PublishTarget
    counters: Counters
    recorder: CallRecorder
    heartbeat: Heartbeat
    flusher: MetricsFlusher
    prometheus: PrometheusExport
    rate_limiter: RateLimiter
    access: AirtableAccess
    call_schema: BaseSchema
    command_schema: BaseSchema
    call_client: AirtableClient
    guarded_lookup: GuardedLookup
    single_flight: SingleFlight
    unknown_number: UnknownNumber
    answerer: Answerer
    history: RunHistory
    rollback: Rollback
    other_deployments: OtherDeployments
    generations: Generations
    refresh: Refresh
    feed_state: SharedFeedState
    polling: Polling
    feed_reader: ChangeFeedReader
    feed_follower: ChangeFeedFollower
    new_client: Callable[[RequestLimits], AirtableClient]
    new_subscription: Callable[[RequestLimits], WebhookSubscription]

    @property
    def circuit_breakers(self) -> tuple[CircuitBreaker, CircuitBreaker]:
        return self.redis_circuit_breaker, self.airtable_circuit_breaker

    @property
    def shared_store(self) -> RedisStore | None:
        """Redis for short questions; None where there is no Redis."""
        return self.call_store if self.configuration.has_redis else None


def services() -> Services:
    """The services of this process. Django's views and commands get them here."""
    config = apps.get_app_config("airtable_sync")
    return cast("Services", cast("Any", config).services)


def platform_rules() -> Sequence[PlatformRules]:
    """What the platforms take of a config: `webhooks` knows it."""
    config = cast("Any", apps.get_app_config("airtable_sync"))
    return cast("Sequence[PlatformRules]", config.platform_rules.rules())


def build_services(
    configuration: Configuration,
    source: MappingSource | None = None,
    *,
    starts_per_window: int = STARTS_PER_WINDOW,
    window_seconds: float = WINDOW_SECONDS,
    rate_limiter_file: Path | None = None,
    tombstone_seconds: float = TOMBSTONE_SECONDS,
    large_refresh: Callable[[], None] | None = None,
) -> Services:
    """`source` is None for the mapping that is in force. `large_refresh` runs the change feed's
    refresh of a large base; None: in this process. The others are for tests."""
    c = configuration
    redis_breaker, airtable_breaker = redis_circuit_breaker(), airtable_circuit_breaker()
    lifetimes = Lifetimes(
        c.cache_ttl_seconds, c.cache_stale_seconds, c.cache_negative_seconds, tombstone_seconds
    )
    shared_store = _stores(c, redis_breaker, lifetimes).command if c.has_redis else None
    mapping_versions = MappingVersions(c.mapping_path, shared_store)
    source = source or mapping_versions.at_start()
    active_mapping = ActiveMapping(source, c.to_numbers)
    stores = _stores(c, redis_breaker, lifetimes, source.generation)
    contact_stores = _stores(c, redis_breaker, lifetimes, source.generation, part="contacts")
    process_id = secrets.token_hex(6)

    # The cache
    replica = Replica(stores.background, c.replica_max_bytes)
    contacts = Replica(contact_stores.background, min(CONTACTS_MAX_BYTES, c.replica_max_bytes))
    snapshots = Snapshots(c.airtable_base_id, source.generation)
    overrides = Overrides(stores.command, replica, has_redis=c.has_redis)
    target: PublishTarget = (
        TwoTargets(RedisTarget(stores.command), RedisTarget(contact_stores.command))
        if c.has_redis
        else DatabaseTarget(snapshots, stores.command)
    )

    # Metrics
    counters = Counters()
    recorder = CallRecorder(counters, replica)
    heartbeat = Heartbeat(
        process_id,
        replica,
        (redis_breaker, airtable_breaker),
        c.version,
        active_mapping.description_and_fingerprint,
    )
    flusher = MetricsFlusher(
        stores.background,
        counters,
        recorder,
        UnflushedCounts(counters, replica.now, process_id),
        AnswerLogWriter(recorder, process_id),
        active_mapping.is_served,
    )

    # Airtable
    path = rate_limiter_file or host_file_path(c.airtable_api_url, c.airtable_base_id)
    host_file = HostFile(path, starts_per_window)
    rate_limiter = RateLimiter(stores.call, host_file, counters, starts_per_window, window_seconds)
    access = AirtableAccess(stores.background)
    base = AirtableBase(c.airtable_base_id, c.airtable_api_key, c.airtable_api_url)

    def new_client(limits: RequestLimits) -> AirtableClient:
        return AirtableClient(base, limits, rate_limiter, access)

    # Lookups
    call_schema = BaseSchema(stores.call, has_redis=c.has_redis)
    call_lookup = AirtableLookup(new_client(CALL_LIMITS), active_mapping, call_schema, stores.call)
    probe_lookup = AirtableLookup(
        new_client(PROBE_LIMITS), active_mapping, call_schema, stores.call
    )
    guarded_lookup = GuardedLookup(call_lookup, probe_lookup, airtable_breaker)
    caching_lookup = CachingLookup(guarded_lookup, stores.call, has_redis=c.has_redis)
    leases = LookupLeases(stores.call, process_id)
    single_flight = SingleFlight(replica, leases, caching_lookup.look_up)
    unknown_number = UnknownNumber(
        active_mapping, call_schema.through(stores.background), c.default_variables
    )
    replica.on_change(unknown_number.reload)
    answerer = Answerer(
        replica,
        stores.call if c.has_redis else None,
        single_flight,
        active_mapping,
        unknown_number,
        contacts,
        contact_stores.call if c.has_redis else None,
        counters.tier_failed,
    )

    # Refreshes
    command_schema = call_schema.through(stores.command)
    results = RefreshResults(stores.background, counters, flusher)
    history = RunHistory(access, results.run_ended, has_redis=c.has_redis)
    rollback = Rollback(target, snapshots, history, has_redis=c.has_redis)
    other_deployments = OtherDeployments(stores.command if c.has_redis else None, active_mapping)
    feed_state = SharedFeedState(stores.command, active_mapping)
    generations = Generations([stores.command, contact_stores.command] if c.has_redis else [])
    unchanged = UnchangedCheck(
        stores.command,
        contact_stores.command,
        feed_state,
        c.airtable_base_id,
        enabled=c.has_redis and c.airtable_changes != "off",
    )
    refresh = Refresh(
        RefreshParts(
            target=target,
            active_mapping=active_mapping,
            base_schema=command_schema,
            invalid_records=InvalidRecords(stores.command),
            validation=Validation(
                command_schema,
                min_share=c.refresh_min_share,
                max_conflict_share=c.refresh_max_conflict_share,
            ),
            overrides=overrides,
            snapshots=snapshots,
            history=history,
            rollback=rollback,
            other_deployments=other_deployments,
            confirm_unchanged=unchanged.confirm,
            remove_unused_sets=generations.remove_unused,
            has_redis=c.has_redis,
        )
    )

    # The change feed
    polling = Polling(
        c.airtable_changes, c.airtable_plan, c.airtable_poll_seconds, rate_limiter.usage
    )

    def new_subscription(limits: RequestLimits) -> WebhookSubscription:
        return WebhookSubscription(
            new_client(limits),
            stores.command,
            feed_state,
            command_schema,
            polling,
            notification_url_for(c.airtable_changes, c.public_url),
        )

    subscription = new_subscription(CHANGE_LIMITS)
    change_lookup = AirtableLookup(
        subscription.client, active_mapping, command_schema, stores.command
    )

    contact_lookup = AirtableLookup(
        subscription.client, active_mapping, command_schema, stores.command, CONTACTS
    )

    def refresh_for_feed(*, is_small: bool | None) -> None:
        if is_small is not False or large_refresh is None:
            limits = CHANGE_LIMITS if is_small else REFRESH_LIMITS
            refresh.run(new_client(limits), lambda *_: None, OF_CHANGE_FEED)
        else:
            large_refresh()

    feed_reader = ChangeFeedReader(
        stores.command,
        c.airtable_base_id,
        feed_state,
        subscription,
        [
            AffectedNumbers(stores.command, replica, change_lookup, active_mapping, command_schema),
            AffectedNumbers(
                contact_stores.command,
                contacts,
                contact_lookup,
                active_mapping,
                command_schema,
                CONTACTS,
            ),
        ],
        active_mapping,
        command_schema,
        polling,
        refresh_for_feed,
    )
    follower = ChangeFeedFollower(feed_reader, feed_state, polling, counters.edit_propagated)

    return Services(
        configuration=c,
        active_mapping=active_mapping,
        mapping_versions=mapping_versions,
        redis_circuit_breaker=redis_breaker,
        airtable_circuit_breaker=airtable_breaker,
        call_store=stores.call,
        command_store=stores.command,
        contact_store=contact_stores.command,
        background_store=stores.background,
        status_store=stores.status,
        replica=replica,
        contacts=contacts,
        snapshots=snapshots,
        overrides=overrides,
        snapshot_fallback=SnapshotFallback(replica, snapshots, overrides, contacts),
        target=target,
        counters=counters,
        recorder=recorder,
        heartbeat=heartbeat,
        flusher=flusher,
        prometheus=PrometheusExport(
            stores.background,
            counters,
            heartbeat,
            polling if c.airtable_changes != "off" else None,
            c.airtable_plan,
        ),
        rate_limiter=rate_limiter,
        access=access,
        call_schema=call_schema,
        command_schema=command_schema,
        call_client=call_lookup.client,
        guarded_lookup=guarded_lookup,
        single_flight=single_flight,
        unknown_number=unknown_number,
        answerer=answerer,
        history=history,
        rollback=rollback,
        other_deployments=other_deployments,
        generations=generations,
        refresh=refresh,
        feed_state=feed_state,
        polling=polling,
        feed_reader=feed_reader,
        feed_follower=follower,
        new_client=new_client,
        new_subscription=new_subscription,
    )


@dataclass(frozen=True)
class _Stores:
    call: RedisStore
    command: RedisStore
    background: RedisStore
    status: RedisStore


def _stores(
    configuration: Configuration,
    call_breaker: CircuitBreaker,
    lifetimes: Lifetimes,
    generation: str = "",
    part: str = "",
) -> _Stores:
    def store(alias: str, circuit_breaker: CircuitBreaker | None = None) -> RedisStore:
        return RedisStore(
            alias,
            Namespace(
                configuration.airtable_base_id, configuration.cache_namespace, part, generation
            ),
            lifetimes,
            is_configured=configuration.has_redis,
            circuit_breaker=circuit_breaker,
        )

    return _Stores(
        call=store("default", call_breaker),
        command=store("commands"),
        background=store("background"),
        status=store("default"),
    )
