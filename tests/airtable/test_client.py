"""The Airtable client: errors, retries and time limits."""

import contextlib
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from pyairtable import formulas

from airtable_sync.airtable.errors import (
    AccessDenied,
    AirtableError,
    IteratorLost,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Unavailable,
    WebhooksDenied,
    translate_error,
)
from airtable_sync.airtable.limits import rate_limiter
from airtable_sync.airtable.limits.request_limits import RequestLimits
from airtable_sync.airtable.webhooks_api import WebhooksApi
from airtable_sync.mapping.schema import Source
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.support.services import services

ONCE = RequestLimits(1.0, 0.5, 1.0, (), 0.0, 5.0, is_call=True)
TWICE = RequestLimits(1.0, 0.5, 1.0, (0.01, 0.01), 0.05, 5.0, is_call=False)


def read(limits: RequestLimits = ONCE, table: str = "client") -> list[str]:
    pages = services().new_client(limits).pages(Source(table))
    return [record["id"] for page in pages for record in page]


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (Fault(status=401), AccessDenied, "401"),
        (Fault(status=403), AccessDenied, "403"),
        (Fault(status=404, error="NOT_FOUND", shape="string"), NotFound, "404 NOT_FOUND"),
        (
            Fault(status=422, error="UNKNOWN_FIELD_NAME", message='Unknown field name: "Phone"'),
            AirtableError,
            '422 UNKNOWN_FIELD_NAME: Unknown field name: "Phone"',
        ),
        (
            Fault(status=429, error="RATE_LIMIT_REACHED", shape="array"),
            RateLimited,
            "429 RATE_LIMIT_REACHED",
        ),
        (Fault(status=429, error="RATE_LIMIT_REACHED"), RateLimited, "429"),
        (Fault(status=429, html="<h1>slow down</h1>"), RateLimited, "429"),
        (
            Fault(status=429, error="PUBLIC_API_BILLING_LIMIT_EXCEEDED", shape="array"),
            QuotaExceeded,
            "PUBLIC_API_BILLING_LIMIT_EXCEEDED",
        ),
        (Fault(status=500), Unavailable, "500"),
        (Fault(status=503, html="<h1>edge</h1>"), Unavailable, "503"),
        (Fault(html="<h1>hello</h1>"), Unavailable, "cut off or is not JSON"),
        *(
            (Fault(html=f'{{"records": [], "x": {number}}}'), Unavailable, "is not JSON")
            for number in ("NaN", "Infinity", "-Infinity", "1e999")
        ),
        (Fault(json={"data": []}), Unavailable, "not a list of records"),
        (Fault(json={"records": [{"id": "rec1"}]}), Unavailable, "not a list of records"),
        (Fault(json=[]), Unavailable, "not a list of records"),
        (Fault(truncated=True), Unavailable, "Airtable"),
        (Fault(reset=True), Unavailable, "can't be reached"),
        (Fault(hang=True), Unavailable, "did not answer in time"),
    ],
)
def test_each_failure_raises_the_error_that_stands_for_one_decision(
    airtable: Sandbox, fault: Fault, kind: type[Exception], message: str
) -> None:
    airtable.faults.add(fault)
    with pytest.raises(AirtableError, match=message) as caught:
        read()
    assert type(caught.value) is kind
    assert len(airtable.requests) == 1  # a call has no hidden retry


def test_a_token_that_may_not_use_webhooks_still_has_access(airtable: Sandbox) -> None:
    webhooks = WebhooksApi(services().new_client(ONCE))
    for status, kind, is_denied in ((403, WebhooksDenied, False), (401, AccessDenied, True)):
        airtable.faults.add(Fault(path="/webhooks", status=status))
        with pytest.raises(kind, match=str(status)):
            webhooks.all()
        assert bool(services().access.denied_message) == is_denied


def test_a_server_that_is_down_is_unavailable(airtable: Sandbox) -> None:
    airtable.stop()
    with pytest.raises(Unavailable, match="can't be reached"):
        read()


@pytest.mark.parametrize(
    "fault", [Fault(status=503), Fault(status=429), Fault(truncated=True), Fault(hang=True)]
)
def test_a_refresh_retries_a_failed_page(
    airtable: Sandbox, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limiter, "LOCKOUT_SECONDS", 0.01)
    airtable.faults.add(fault)
    assert len(read(TWICE)) == 26
    assert len(airtable.requests) == 2


def test_a_refresh_stops_after_its_last_retry(airtable: Sandbox) -> None:
    airtable.faults.add(Fault(status=500, times=None))
    with pytest.raises(Unavailable):
        read(TWICE)
    assert len(airtable.requests) == 3


@pytest.mark.parametrize("error", ["PUBLIC_API_BILLING_LIMIT_EXCEEDED", "UNKNOWN_FIELD_NAME"])
def test_an_error_that_a_retry_can_not_fix_is_not_retried(airtable: Sandbox, error: str) -> None:
    airtable.faults.add(Fault(status=429 if "LIMIT" in error else 422, error=error, times=None))
    with pytest.raises(AirtableError):
        read(TWICE)
    assert len(airtable.requests) == 1


def test_after_a_lost_iterator_the_table_is_read_from_its_start(airtable: Sandbox) -> None:
    table = airtable.base().table("client")
    for number in range(300):
        table.create({"name": f"client {number}"})
    airtable.faults.add(Fault(page=3, lose_iterator=True))
    ids = read()
    assert len(set(ids)) == 326
    assert len(airtable.requests) == 3 + 4


def test_reading_ends_if_the_iterator_is_always_lost(airtable: Sandbox) -> None:
    table = airtable.base().table("client")
    for number in range(100):
        table.create({"name": f"client {number}"})
    airtable.faults.add(Fault(page=2, lose_iterator=True, times=None))
    with pytest.raises(IteratorLost):
        read()
    assert len(airtable.requests) == 8


def test_a_netrc_file_does_not_replace_the_token(
    airtable: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert len(read()) == 26


def test_a_quote_in_a_value_stays_inside_its_formula(airtable: Sandbox) -> None:
    row = airtable.base().table("client").create({"name": "O'Brien"})
    client = services().new_client(ONCE)
    for name in ("O'Brien", "a\\", "'),1=1,('", 'say "hi"'):
        found = client.find(Source("client"), str(formulas.EQ(formulas.Field("name"), name)))
        assert [each["id"] for each in found] == ([row.id] if name == "O'Brien" else [])


def test_many_ids_are_read_a_hundred_in_each_request(airtable: Sandbox) -> None:
    table = airtable.base().table("client")
    ids = [table.create({"name": f"client {number}"}).id for number in range(250)]
    limits = replace(ONCE, read_seconds=5.0, response_seconds=5.0)
    found = (
        services()
        .new_client(limits)
        .get_many(Source("client"), [*ids, "recDoesNotExist00"], ["name"])
    )
    assert sorted(record["id"] for record in found) == sorted(ids)
    assert len(airtable.requests) == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [("AIRTABLE_API_KEY", "AIRTABLE_API_KEY"), ("AIRTABLE_BASE_ID", "AIRTABLE_BASE_ID")],
)
def test_the_message_names_a_missing_setting(
    airtable: Sandbox, settings: Any, name: str, message: str
) -> None:
    setattr(settings, name, None)
    with pytest.raises(AirtableError, match=f"{message} is not set"):
        read()


def test_a_wrong_token_gives_401_and_the_message_does_not_show_it(
    airtable: Sandbox, settings: Any
) -> None:
    settings.AIRTABLE_API_KEY = "wrong"
    with pytest.raises(AirtableError, match="401") as caught:
        read()
    assert "wrong" not in str(caught.value)


def test_an_error_without_a_response_has_a_message() -> None:
    assert "in time" in str(translate_error(requests.Timeout()))


@pytest.mark.rate_limit
@pytest.mark.slow
def test_never_more_than_five_requests_start_in_a_second(airtable: Sandbox, valkey: Any) -> None:
    for _ in range(8):
        services().new_client(ONCE).find(
            Source("client"), str(formulas.EQ(formulas.Field("name"), "x"))
        )
    starts = [request.started_at for request in airtable.requests]
    assert starts[5] - starts[0] >= 1.0
    assert starts[7] - starts[2] >= 1.0


@pytest.mark.rate_limit
@pytest.mark.slow
def test_without_redis_a_process_keeps_the_rate_limit_by_itself(
    airtable: Sandbox, settings: Any
) -> None:
    started = time.monotonic()
    for _ in range(6):
        services().new_client(ONCE).find(
            Source("client"), str(formulas.EQ(formulas.Field("name"), "x"))
        )
    assert time.monotonic() - started >= 1.0


@pytest.mark.rate_limit
@pytest.mark.slow
def test_a_request_that_would_wait_too_long_for_a_permit_fails_immediately(
    airtable: Sandbox, valkey: Any
) -> None:
    client = services().new_client(RequestLimits(1.0, 1.0, 1.0, (), 0.0, 0.1, is_call=True))
    for _ in range(5):
        client.find(Source("client"), str(formulas.EQ(formulas.Field("name"), "x")))
    with pytest.raises(RateLimited, match="Too many requests to Airtable are waiting"):
        client.find(Source("client"), str(formulas.EQ(formulas.Field("name"), "x")))
    assert len(airtable.requests) == 5


class SlowServer:
    """An Airtable that sends one byte of its response every tenth of a second: 500 seconds."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with self._listener, connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
            while True:
                connection.sendall(b" ")
                time.sleep(0.1)


@pytest.mark.slow
def test_a_response_that_arrives_too_slowly_is_abandoned(airtable: Sandbox, settings: Any) -> None:
    settings.AIRTABLE_API_URL = SlowServer().url
    started = time.monotonic()
    with pytest.raises(Unavailable, match="did not answer in time"):
        read()
    assert time.monotonic() - started < 60


@pytest.mark.usefixtures("without_garbage_collection")
@pytest.mark.parametrize("body", ["[" * 50_000, '{"records": ' + "[" * 50_000])
def test_a_response_that_is_nested_too_deeply_is_unavailable(airtable: Sandbox, body: str) -> None:
    airtable.faults.add(Fault(html=body))
    with pytest.raises(Unavailable):
        read()
