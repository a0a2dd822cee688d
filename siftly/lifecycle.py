"""What a web process does in the background, from its start to its end."""

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import AsyncIterator, Callable

from django.db import DatabaseError

from airtable_sync.airtable import formulas
from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache.database import close_connection
from airtable_sync.cache.keys import RESTORED_LOCK
from airtable_sync.cache.replica_subscription import ReplicaSubscription
from airtable_sync.cache.snapshot_fallback import FOLLOW_SECONDS, SnapshotFollower
from airtable_sync.mapping.records import BaseTables
from airtable_sync.models import Run
from airtable_sync.monitoring.alerts.periodic_check import PeriodicCheck, checking_in_background
from airtable_sync.monitoring.export.flush import flushing_in_background
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.refresh.background_process import start_refresh
from airtable_sync.services import Services
from siftly.environment import BASE_DIR

logger = logging.getLogger(__name__)

FIRST_LOAD_SECONDS = 10.0
DATABASE_SECONDS = 8.0
NAMES_SECONDS = 1.0
COMPARE_SECONDS = 2.0  # for the database, where Redis has answered
RESTORED_SECONDS = 60
SCHEMA_CHECK_SECONDS = 3600.0
FIRST_RETRY_SECONDS = 1.0  # doubled after each failure
PROBE_SECONDS = 60.0


class Lifecycle:
    """`periodic_check` is None if no alerts are set up."""

    def __init__(self, services: Services, periodic_check: PeriodicCheck | None) -> None:
        self._services = services
        self._periodic_check = periodic_check
        self._first_load_ended = asyncio.Event()
        # Called from any thread when another version of the mapping may be in force.
        self.on_mapping_saved: Callable[[], None] = lambda: None

    def is_ready(self) -> bool:
        return self._first_load_ended.is_set()

    async def wait_until_loaded(self) -> bool:
        """Whether a complete set was loaded. Waits for the first load."""
        await self._first_load_ended.wait()
        replicas = [self._services.replica]
        if self._services.configuration.has_redis and self._services.active_mapping.has_callers:
            replicas.append(self._services.contacts)
        is_loaded = all(each.in_sync for each in replicas)
        return is_loaded and self._services.replica.confirmed_at > 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        services = self._services
        services.answerer.fallback = services.snapshot_fallback.load
        services.replica.on_restored(self._refresh_restored_redis)
        follower = services.feed_follower
        subscription = ReplicaSubscription(
            services.replica,
            services.single_flight.lookup_failed_in_other_process,
            follower.change_notified,
            follower.leader_stepped_down,
            self._subscribed,
            self.on_mapping_saved,
        )
        contacts = ReplicaSubscription(services.contacts)
        if services.configuration.has_redis:
            subscription.start()
            if services.active_mapping.has_callers:
                contacts.start()
            if services.configuration.follows_changes:
                follower.start()
        work = [
            self._load_formulas(),
            self._first_load(subscription, contacts),
            self._renew_schema(),
            self._probe_airtable(),
        ]
        tasks = [asyncio.create_task(each) for each in work]
        try:
            await self._load_names()
            async with self._reporting():
                yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(follower.stop)
            await asyncio.to_thread(subscription.stop)
            await asyncio.to_thread(contacts.stop)

    def _subscribed(self) -> None:
        """Messages may have been lost before."""
        self._services.feed_follower.subscribed()
        self.on_mapping_saved()

    async def _load_names(self) -> None:
        """Of all variables, from Redis, before the first call: it may be of an unknown number."""
        if self._services.configuration.has_redis:
            reload = asyncio.to_thread(self._services.unknown_number.reload)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reload, NAMES_SECONDS)

    @contextlib.asynccontextmanager
    async def _reporting(self) -> AsyncIterator[None]:
        """Metrics and alerts. Without Redis each process has only its own metrics."""
        async with contextlib.AsyncExitStack() as stack:
            if self._services.configuration.has_redis:
                self._services.flusher.start_heartbeat(self._services.heartbeat)
                await stack.enter_async_context(flushing_in_background(self._services.flusher))
            if self._periodic_check:
                await stack.enter_async_context(checking_in_background(self._periodic_check))
            yield

    async def _first_load(
        self, subscription: ReplicaSubscription, contacts: ReplicaSubscription
    ) -> None:
        """Calls are answered before it has ended too; but /readyz waits for it."""
        services = self._services
        if services.configuration.has_redis:
            await asyncio.to_thread(subscription.first_load_ended.wait, FIRST_LOAD_SECONDS)
            if services.active_mapping.has_callers:
                await asyncio.to_thread(contacts.first_load_ended.wait, FIRST_LOAD_SECONDS)
            if subscription.connected:
                newer = services.snapshot_fallback.take_newer_snapshot
                await _from_database(newer, COMPARE_SECONDS)
                await _from_database(self._refresh_new_set, COMPARE_SECONDS)
            else:
                await _from_database(services.snapshot_fallback.start_replica)
            self._first_load_ended.set()
            return
        follower = SnapshotFollower(
            services.replica, services.snapshots, services.overrides, services.contacts
        )
        while True:
            await _from_database(follower.sync)
            self._first_load_ended.set()
            await asyncio.sleep(FOLLOW_SECONDS)

    def _refresh_new_set(self) -> None:
        """At the start of a process: AIRTABLE_MAPPING was set or removed, so Redis has no set of
        this mapping, but the last one was published with another mapping."""
        try:
            newest = self._services.snapshots.all().first()
        except DatabaseError as error:
            logger.info("Whether the mapping is new can't be read: %s", error)
            return
        finally:
            close_connection()
        generation = self._services.active_mapping.source.generation
        if newest and newest.generation != generation and not self._services.replica.confirmed_at:
            self._refresh_restored_redis()

    def _refresh_restored_redis(self) -> None:
        """Only a refresh knows what changed since the backup. One process starts it. If it fails,
        the next comparison after the pause starts another."""
        store, token = self._services.background_store, secrets.token_hex(8)
        with contextlib.suppress(CacheUnavailable):
            if self._has_token() and store.acquire_lease(RESTORED_LOCK, token, RESTORED_SECONDS):
                start_refresh("--full", folder=BASE_DIR, trigger=Run.Trigger.RECOVERY)

    async def _load_formulas(self) -> None:
        """After the replica is loaded, which the import would delay. Cache hits have priority, and
        few calls need Airtable in a process's first second."""
        await self._first_load_ended.wait()
        if self._has_token():
            try:
                await asyncio.to_thread(formulas.load)
            except Exception:
                logger.exception("pyairtable can't be imported")

    async def _renew_schema(self) -> None:
        """Keep the base's schema up to date: lookups need it for empty cells and the types of
        values, answers for unknown numbers for the names of variables."""
        pause = FIRST_RETRY_SECONDS
        await self._first_load_ended.wait()
        while self._has_token():
            is_known = False
            try:
                is_known = await asyncio.to_thread(
                    self._services.call_schema.renew_if_old, self._read_tables
                )
                await asyncio.to_thread(self._services.unknown_number.reload)
            except Exception:
                logger.exception("Renewing the base's schema failed")
            pause = SCHEMA_CHECK_SECONDS if is_known else min(2 * pause, SCHEMA_CHECK_SECONDS)
            await asyncio.sleep(pause)

    def _read_tables(self) -> BaseTables | None:
        try:
            return self._services.call_client.read_tables()
        except AirtableError as error:
            logger.warning("The base's schema can't be read: %s", error)
            return None

    async def _probe_airtable(self) -> None:
        """A circuit breaker closes after a successful call. If no cold number is called for long, a
        small request takes that role."""
        while self._has_token():
            await asyncio.sleep(PROBE_SECONDS * random.uniform(0.8, 1.2))
            try:
                await asyncio.to_thread(self._services.guarded_lookup.probe_if_open)
            except Exception:
                logger.exception("The probe of Airtable failed unexpectedly")

    def _has_token(self) -> bool:
        return bool(self._services.configuration.airtable_api_key)


async def _from_database(load: Callable[[], None], seconds: float = DATABASE_SECONDS) -> None:
    try:
        await asyncio.wait_for(asyncio.to_thread(load), seconds)
    except TimeoutError:
        logger.warning("The database's newest snapshot did not arrive in time")
    except Exception:
        logger.exception("The database's newest snapshot can't be used")
