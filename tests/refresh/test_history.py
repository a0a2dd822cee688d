"""The record of runs, and the last good sets, in the database."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.utils import timezone

from airtable_sync.airtable import rate_limiter
from airtable_sync.cache import snapshots
from airtable_sync.cache.redis_store import CALLS
from airtable_sync.models import Run, Snapshot
from airtable_sync.refresh import history
from sandbox.airtable.faults import Fault
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import refresh, run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_redis")]


def newest() -> Run:
    return Run.objects.latest("id")


def rename_john(airtable: Sandbox, name: str = "John D.") -> None:
    row = record_id(airtable, "dynamic_variables", "customer_name", "John Doe")
    airtable.base().table("dynamic_variables").update(row, {"customer_name": name})


def test_a_run_keeps_what_it_did(airtable: Sandbox) -> None:
    report = refresh("--by", "admin", "--user", "eva")
    run = newest()
    assert (run.status, run.by, run.user) == ("published", "admin", "eva")
    assert (run.numbers, run.added, run.airtable_requests) == (26, 26, 4)
    assert run.ended_at
    assert report["airtable_requests"] == 4
    assert run.records == {
        "twilio_number": 26,
        "client": 26,
        "dynamic_variables": 26,
        "language_agent_names": 41,
    }


def test_without_a_terminal_it_counts_as_crons(airtable: Sandbox) -> None:
    refresh()
    assert newest().by == Run.By.CRON


def test_differences_are_kept_field_by_field(airtable: Sandbox) -> None:
    refresh()
    rename_john(airtable)
    airtable.base().table("client").delete(
        record_id(airtable, "client", "name", "Hudson Legal Group")
    )
    refresh()
    assert newest().details["differences"] == [
        {"number": NUMBER, "what": "changed", "fields": {"customer_name": ["John Doe", "John D."]}},
        {"number": "+12125550187", "what": "removed", "fields": {}},
    ]


def test_conflicts_and_invalid_rows_are_kept_with_their_records(airtable: Sandbox) -> None:
    numbers = airtable.base().table("twilio_number")
    client = record_id(airtable, "client", "name", "Hudson Legal Group")
    again = numbers.create({"twilio_number": "0460 23 42 91", "client": [client]}).id
    none = numbers.create({"twilio_number": "to be ordered", "client": [client]}).id
    refresh()
    details = newest().details
    first = record_id(airtable, "twilio_number", "twilio_number", "+32 460 23 42 91")
    assert details["conflicts"] == [
        {
            "number": NUMBER,
            "records": [f"twilio_number/{first}", f"twilio_number/{again}"],
        }
    ]
    assert details["invalid"][0]["record"] == f"twilio_number/{none}"


def test_one_that_fails_or_is_refused_says_why(airtable: Sandbox) -> None:
    airtable.faults.add(Fault(status=401))
    refresh()
    failed = newest()
    assert failed.status == "failed"
    assert failed.sentence.startswith("Airtable answered 401")
    numbers = airtable.base().table("twilio_number")
    for each in list(numbers.records):
        numbers.delete(each)
    refresh()
    refused = newest()
    assert (refused.status, refused.sentence) == (
        "refused",
        "no number in Airtable has a config.",
    )


def test_one_that_was_killed_is_found_by_the_next(airtable: Sandbox) -> None:
    Run.objects.create(started_at=timezone.now(), by="cron")
    refresh()
    assert [(r.status, r.sentence) for r in Run.objects.all()] == [
        ("published", ""),
        ("failed", "It was killed."),
    ]


def test_dry_runs_and_busy_ones_are_not_kept(airtable: Sandbox) -> None:
    refresh("--dry-run")
    assert not Run.objects.exists()


def test_runs_are_kept_for_90_days_and_longer_with_their_set(airtable: Sandbox) -> None:
    refresh()
    Run.objects.update(started_at=timezone.now() - timedelta(days=100))
    old = timezone.now() - timedelta(days=91)
    Run.objects.create(started_at=old, by="cron", status="failed")
    refresh()
    assert [run.status for run in Run.objects.all()] == ["unchanged", "published"]


def test_a_set_is_kept_once_and_confirmed_by_runs_that_find_nothing_changed(
    airtable: Sandbox,
) -> None:
    refresh()
    first = Snapshot.objects.get()
    refresh()
    again = Snapshot.objects.get()
    assert again.run_id == first.run_id
    assert again.confirmed_at > first.confirmed_at
    assert again.read_at == first.read_at
    rename_john(airtable)
    refresh()
    assert Snapshot.objects.count() == 2


def test_a_set_holds_what_was_published(airtable: Sandbox) -> None:
    refresh()
    entries = {entry.number: entry for entry in snapshots.newest_entries()}
    assert len(entries) == 26
    assert entries[NUMBER] == CALLS.read(NUMBER)
    assert entries[NUMBER].config == JOHN


def test_only_the_newest_ten_sets_are_kept(airtable: Sandbox) -> None:
    rows = airtable.base().table("dynamic_variables")
    row = record_id(airtable, "dynamic_variables", "customer_name", "John Doe")
    for index in range(12):
        rows.update(row, {"customer_name": str(index)})
        refresh()
    names = []
    for each in Snapshot.objects.all():
        config = next(e.config for e in snapshots.entries_of(each) if e.number == NUMBER)
        names.append((config or {})["customer_name"])
    assert names == [str(index) for index in range(11, 1, -1)]


def test_a_database_that_fails_does_not_stop_a_refresh_of_redis(
    airtable: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(Run, "save", away)
    monkeypatch.setattr(Snapshot.objects, "defer", away)
    report = refresh()
    assert (report["exit"], report["added"]) == (0, 26)
    assert "The run can't be recorded: away" in caplog.text


def test_a_set_is_kept_also_where_the_database_has_lost_the_run_since_it_began(
    airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a server that ended badly may do with the last writes."""
    keep = snapshots.save

    def lose_and_keep(run: Run, *what: Any) -> None:
        Run.objects.all().delete()
        keep(run, *what)
        assert Run.objects.filter(pk=run.pk).exists()  # which the set belongs to

    monkeypatch.setattr(snapshots, "save", lose_and_keep)
    assert refresh()["status"] == "published"
    assert Run.objects.get().status == "published"
    assert Snapshot.objects.get().numbers == 26


def test_progress_is_noted_while_it_reads(
    airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PROGRESS_SECONDS", 0.0)
    seen: list[dict[str, int]] = []
    airtable.faults.add(
        Fault(table="dynamic_variables", before=lambda: seen.append(dict(airtable_progress)))
    )
    airtable_progress: dict[str, int] = {}
    save = Run.save

    def noted(self: Run, *args: Any, **kwargs: Any) -> None:
        airtable_progress.update(self.records)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Run, "save", noted)
    refresh()
    assert seen == [{"twilio_number": 26, "client": 26}]


class TestForecast:
    def test_it_is_told_at_the_end(
        self, airtable: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", logger="airtable_sync")
        refresh()
        assert "Airtable requests in 20" in caplog.text

    def test_more_than_the_plan_allows_is_a_warning(
        self, airtable: Sandbox, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.AIRTABLE_PLAN = "free"
        CALLS.remember(rate_limiter.month_name(timezone.now()), 1500)
        refresh()
        told = [r for r in caplog.records if "more than the 1,000 of the free plan" in r.message]
        assert [record.levelname for record in told] == ["WARNING"]

    def test_a_dry_run_shows_the_difference(self, airtable: Sandbox) -> None:
        refresh()
        rename_john(airtable)
        status, output = run("refresh_airtable_cache", "--dry-run")
        assert status == 0
        assert f"{NUMBER} changed: customer_name: 'John Doe' → 'John D.'" in output


def test_what_a_run_that_goes_on_has_read_is_not_what_to_expect() -> None:
    moment = timezone.now()
    Run.objects.create(started_at=moment, by="cron", status="published", records={"clients": 26})
    Run.objects.create(started_at=moment + timedelta(1), by="cron", records={"clients": 3})
    assert history.last_records() == {"clients": 26}
