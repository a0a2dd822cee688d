"""How long to wait, as Airtable says in Retry-After."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import time_machine

from airtable_sync.airtable.errors import (
    AirtableError,
    LocallyRateLimited,
    LocallyUnavailable,
    RateLimited,
    Unavailable,
)
from airtable_sync.airtable.limits.request_limits import RequestLimits
from airtable_sync.airtable.retry_after import MAX_SECONDS, retry_after_seconds
from airtable_sync.mapping.schema import Source
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.support.services import services

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
PATIENT = RequestLimits(1.0, 3.0, 5.0, (0.0, 0.0), 30.0, 5.0, is_call=False)
HASTY = RequestLimits(1.0, 3.0, 5.0, (), 30.0, 5.0, is_call=True)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("86400", MAX_SECONDS),
        ("9" * 5000, MAX_SECONDS),
        (format_datetime(NOW + timedelta(seconds=20), usegmt=True), 20.0),
        (format_datetime(NOW - timedelta(seconds=20), usegmt=True), 0.0),
        (format_datetime(NOW + timedelta(days=900), usegmt=True), MAX_SECONDS),
        (None, None),
        ("", None),
        ("-3", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("Sat, 99 Nov 2026 99:00:00 GMT", None),
    ],
)
def test_seconds_or_a_date_are_read_and_bounded(header: str | None, seconds: float | None) -> None:
    with time_machine.travel(NOW, tick=False):
        assert retry_after_seconds(header) == seconds


@pytest.mark.usefixtures("fake_redis")
@pytest.mark.parametrize("status", [429, 503])
def test_a_refresh_waits_as_long_as_airtable_says(airtable: Sandbox, status: int) -> None:
    airtable.faults.add(Fault(status=status, retry_after=1))
    started = time.monotonic()
    client = services().new_client(PATIENT)
    assert len(client.find(Source("client"), "")) == 26
    assert 1.0 <= time.monotonic() - started < 15  # without the header, 30 s after a 429
    assert len(airtable.requests) == 2


@pytest.mark.usefixtures("fake_redis")
@pytest.mark.parametrize(
    ("status", "error"), [(429, LocallyRateLimited), (503, LocallyUnavailable)]
)
def test_no_process_asks_meanwhile(
    airtable: Sandbox, status: int, error: type[Exception], settings: Any
) -> None:
    airtable.faults.add(Fault(status=status, retry_after=40))
    client = services().new_client(HASTY)
    for expected in ((Exception,), (error,), (error,)):
        with pytest.raises(expected):
            client.find(Source("client"), "")
    assert len(airtable.requests) == 1


@pytest.mark.usefixtures("fake_redis")
def test_without_the_header_the_next_call_asks_again(airtable: Sandbox) -> None:
    airtable.faults.add(Fault(status=503))
    client = services().new_client(HASTY)
    with pytest.raises(Unavailable):
        client.find(Source("client"), "")
    assert client.find(Source("client"), "")


@pytest.mark.usefixtures("fake_redis")
def test_a_shorter_time_does_not_end_a_longer_one(airtable: Sandbox) -> None:
    limiter = services().rate_limiter
    limiter.block(_error(RateLimited, 40))
    limiter.block(_error(Unavailable, 1))
    with pytest.raises(LocallyRateLimited) as raised:
        limiter.acquire(0, is_call=True)
    assert 38 < (raised.value.retry_after or 0) <= 40


def _error(kind: type[AirtableError], seconds: float) -> AirtableError:
    error = kind("")
    error.retry_after = seconds
    return error
