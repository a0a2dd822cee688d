"""The Airtable client: what it does when Airtable does not do what it should."""

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

from airtable_sync.airtable import access, rate_limiter
from airtable_sync.airtable.client import Airtable, RequestLimits
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
from airtable_sync.airtable.webhooks_api import Hooks
from sandbox.airtable.faults import Fault
from sandbox.airtable.server import Sandbox

ONCE = RequestLimits(1.0, 0.5, 1.0, (), 0.0, 5.0, is_call=True)
TWICE = RequestLimits(1.0, 0.5, 1.0, (0.01, 0.01), 0.05, 5.0, is_call=False)


def read(limits: RequestLimits = ONCE, table: str = "client") -> list[str]:
    pages = Airtable(limits).all(table)
    return [record["id"] for page in pages for record in page]


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
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
        (Fault(html="<h1>hello</h1>"), Unavailable, "cut off or is no JSON"),
        (Fault(json={"data": []}), Unavailable, "not a list of records"),
        (Fault(json={"records": [{"id": "rec1"}]}), Unavailable, "not a list of records"),
        (Fault(json=[]), Unavailable, "not a list of records"),
        (Fault(truncated=True), Unavailable, "Airtable"),
        (Fault(reset=True), Unavailable, "can't be reached"),
        (Fault(hang=True), Unavailable, "did not answer in time"),
    ],
)
def test_each_trouble_is_the_error_that_says_what_to_do(
    airtable: Sandbox, fault: Fault, kind: type[Exception], sentence: str
) -> None:
    airtable.faults.add(fault)
    with pytest.raises(AirtableError, match=sentence) as caught:
        read()
    assert type(caught.value) is kind
    assert len(airtable.requests) == 1  # on a call there is no hidden second try


def test_a_token_that_may_not_follow_changes_is_no_token_that_is_refused(airtable: Sandbox) -> None:
    hooks = Hooks(Airtable(ONCE))
    for status, kind, is_refused in ((403, WebhooksDenied, False), (401, AccessDenied, True)):
        airtable.faults.add(Fault(path="/webhooks", status=status))
        with pytest.raises(kind, match=str(status)):
            hooks.listed()
        assert bool(access.refused_here()) == is_refused


def test_nobody_there_is_unavailable(airtable: Sandbox) -> None:
    airtable.stop()
    with pytest.raises(Unavailable, match="can't be reached"):
        read()


@pytest.mark.parametrize(
    "fault", [Fault(status=503), Fault(status=429), Fault(truncated=True), Fault(hang=True)]
)
def test_a_refresh_tries_a_failed_page_again(
    airtable: Sandbox, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limiter, "LOCKOUT_SECONDS", 0.01)
    airtable.faults.add(fault)
    assert len(read(TWICE)) == 26
    assert len(airtable.requests) == 2


def test_a_refresh_gives_up_in_the_end(airtable: Sandbox) -> None:
    airtable.faults.add(Fault(status=500, times=None))
    with pytest.raises(Unavailable):
        read(TWICE)
    assert len(airtable.requests) == 3


@pytest.mark.parametrize("error", ["PUBLIC_API_BILLING_LIMIT_EXCEEDED", "UNKNOWN_FIELD_NAME"])
def test_what_waiting_does_not_mend_is_not_tried_again(airtable: Sandbox, error: str) -> None:
    airtable.faults.add(Fault(status=429 if "LIMIT" in error else 422, error=error, times=None))
    with pytest.raises(AirtableError):
        read(TWICE)
    assert len(airtable.requests) == 1


def test_a_lost_iterator_begins_the_table_again(airtable: Sandbox) -> None:
    table = airtable.base().table("client")
    for number in range(300):
        table.create({"name": f"client {number}"})
    airtable.faults.add(Fault(page=3, lose_iterator=True))
    ids = read()
    assert len(set(ids)) == 326
    assert len(airtable.requests) == 3 + 4


def test_an_iterator_that_is_always_lost_ends(airtable: Sandbox) -> None:
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
    client = Airtable(ONCE)
    for name in ("O'Brien", "a\\", "'),1=1,('", 'say "hi"'):
        found = client.matching("client", str(formulas.EQ(formulas.Field("name"), name)))
        assert [each["id"] for each in found] == ([row.id] if name == "O'Brien" else [])


def test_hundreds_of_ids_are_read_a_hundred_a_request(airtable: Sandbox) -> None:
    table = airtable.base().table("client")
    ids = [table.create({"name": f"client {number}"}).id for number in range(250)]
    patient = replace(ONCE, read_seconds=5.0, answer_seconds=5.0)
    found = Airtable(patient).by_ids("client", [*ids, "recDoesNotExist00"], ["name"])
    assert sorted(record["id"] for record in found) == sorted(ids)
    assert len(airtable.requests) == 3


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("AIRTABLE_API_KEY", "AIRTABLE_API_KEY"), ("AIRTABLE_BASE_ID", "AIRTABLE_BASE_ID")],
)
def test_a_missing_setting_is_named(
    airtable: Sandbox, settings: Any, name: str, sentence: str
) -> None:
    setattr(settings, name, None)
    with pytest.raises(AirtableError, match=f"{sentence} is not set"):
        read()


def test_a_wrong_token_is_said(airtable: Sandbox, settings: Any) -> None:
    settings.AIRTABLE_API_KEY = "wrong"
    with pytest.raises(AirtableError, match="401") as caught:
        read()
    assert "wrong" not in str(caught.value)


def test_an_error_without_a_response_has_a_sentence() -> None:
    assert "in time" in str(translate_error(requests.Timeout()))


@pytest.mark.budget
def test_never_more_than_five_requests_start_in_a_second(airtable: Sandbox, valkey: Any) -> None:
    for _ in range(8):
        Airtable(ONCE).matching("client", str(formulas.EQ(formulas.Field("name"), "x")))
    starts = [request.started_at for request in airtable.requests]
    assert starts[5] - starts[0] >= 1.0
    assert starts[7] - starts[2] >= 1.0


@pytest.mark.budget
def test_without_redis_a_process_keeps_the_budget_alone(airtable: Sandbox, settings: Any) -> None:
    started = time.monotonic()
    for _ in range(6):
        Airtable(ONCE).matching("client", str(formulas.EQ(formulas.Field("name"), "x")))
    assert time.monotonic() - started >= 1.0


@pytest.mark.budget
def test_who_would_wait_too_long_for_the_budget_is_told_at_once(
    airtable: Sandbox, valkey: Any
) -> None:
    hurried = Airtable(RequestLimits(1.0, 1.0, 1.0, (), 0.0, 0.1, is_call=True))
    for _ in range(5):
        hurried.matching("client", str(formulas.EQ(formulas.Field("name"), "x")))
    with pytest.raises(RateLimited, match="budget of requests"):
        hurried.matching("client", str(formulas.EQ(formulas.Field("name"), "x")))
    assert len(airtable.requests) == 5


class Trickle:
    """An Airtable that sends a byte of its answer every tenth of a second."""

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


def test_an_answer_that_trickles_in_is_given_up(airtable: Sandbox, settings: Any) -> None:
    settings.AIRTABLE_API_URL = Trickle().url
    started = time.monotonic()
    with pytest.raises(Unavailable, match="did not answer in time"):
        read()
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("body", ["[" * 50_000, '{"records": ' + "[" * 50_000])
def test_an_answer_that_is_nested_too_deeply_is_unavailable(airtable: Sandbox, body: str) -> None:
    airtable.faults.add(Fault(html=body))
    with pytest.raises(Unavailable):
        read()
