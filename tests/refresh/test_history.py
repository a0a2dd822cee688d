"""The run history and the snapshots in the database."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.utils import timezone

from airtable_sync.airtable.limits.monthly_usage import usage_key, utc_now
from airtable_sync.airtable.limits.request_limits import COMMAND_LIMITS
from airtable_sync.cache.snapshots import Snapshots, entries_of
from airtable_sync.models import Run, Snapshot
from airtable_sync.refresh import history
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import refresh, run
from tests.support.services import services

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_redis")]


def newest_run() -> Run:
    return Run.objects.latest("id")


def rename_john(airtable: Sandbox, name: str = "John D.") -> None:
    row = record_id(airtable, "dynamic_variables", "customer_name", "John Doe")
    airtable.base().table("dynamic_variables").update(row, {"customer_name": name})


def test_a_run_records_its_counts_and_who_started_it(airtable: Sandbox) -> None:
    report = refresh("--trigger", "admin", "--user", "eva")
    run = newest_run()
    assert (run.status, run.trigger, run.user) == ("published", "admin", "eva")
    assert (run.numbers, run.added, run.airtable_requests) == (26, 26, 5)
    assert run.ended_at
    assert report["airtable_requests"] == 5
    assert run.records == {
        "twilio_number": 26,
        "client": 26,
        "dynamic_variables": 26,
        "language_agent_names": 41,
    }


def test_a_run_records_cron_only_if_cron_has_started_it(airtable: Sandbox, settings: Any) -> None:
    refresh()
    assert newest_run().trigger == Run.Trigger.SCRIPT
    assert newest_run().started_by == "a command without a terminal"
    settings.IS_CRON_JOB = True  # on Render
    refresh()
    assert newest_run().started_by == "the cron job"


def test_an_unexpected_error_ends_the_run_too(airtable: Sandbox) -> None:
    client = services().new_client(COMMAND_LIMITS)
    with (
        pytest.raises(ZeroDivisionError),
        services().history.record(Run.Trigger.SCRIPT, "", client),
    ):
        _ = 1 / 0
    failed = newest_run()
    assert (failed.status, failed.ended_at is not None) == ("failed", True)
    assert failed.message == "An unexpected error ended it: ZeroDivisionError. See the log."


def test_a_run_records_each_changed_field(airtable: Sandbox) -> None:
    refresh()
    rename_john(airtable)
    airtable.base().table("client").delete(
        record_id(airtable, "client", "name", "Hudson Legal Group")
    )
    refresh()
    changed, removed = newest_run().details["differences"]
    assert changed.pop("records")[0].startswith("twilio_number/rec")
    assert removed.pop("records")
    assert changed == {
        "number": NUMBER,
        "kind": "changed",
        "fields": {"customer_name": ["John Doe", "John D."]},
        "customer": "John D.",
    }
    assert removed == {
        "number": "+12125550187",
        "kind": "removed",
        "fields": {},
        "customer": "Hudson Legal Group",
    }


def test_a_run_records_the_records_of_conflicts_and_invalid_rows(airtable: Sandbox) -> None:
    numbers = airtable.base().table("twilio_number")
    client = record_id(airtable, "client", "name", "Hudson Legal Group")
    again = numbers.create({"twilio_number": "0460 23 42 91", "client": [client]}).id
    none = numbers.create({"twilio_number": "to be ordered", "client": [client]}).id
    refresh()
    details = newest_run().details
    first = record_id(airtable, "twilio_number", "twilio_number", "+32 460 23 42 91")
    assert details["conflicts"] == [
        {
            "number": NUMBER,
            "records": [f"twilio_number/{first}", f"twilio_number/{again}"],
        }
    ]
    assert details["invalid"][0]["record"] == f"twilio_number/{none}"


def test_a_failed_or_rejected_run_records_the_reason(airtable: Sandbox) -> None:
    airtable.faults.add(Fault(status=401, times=None))
    refresh()
    airtable.faults.clear()
    failed = newest_run()
    assert failed.status == "failed"
    assert failed.message.startswith("Airtable answered 401")
    numbers = airtable.base().table("twilio_number")
    for each in list(numbers.records):
        numbers.delete(each)
    refresh()
    rejected = newest_run()
    assert (rejected.status, rejected.message) == (
        "refused",
        "no number in Airtable has a config.",
    )


def test_the_next_run_marks_a_killed_run_as_failed(airtable: Sandbox) -> None:
    Run.objects.create(started_at=timezone.now(), trigger="cron")
    refresh()
    assert [(r.status, r.message) for r in Run.objects.all()] == [
        ("published", ""),
        ("failed", "It was killed."),
    ]


def test_a_dry_run_is_not_recorded(airtable: Sandbox) -> None:
    refresh("--dry-run")
    assert not Run.objects.exists()


def test_runs_are_kept_for_90_days_or_as_long_as_their_snapshot(airtable: Sandbox) -> None:
    refresh()
    Run.objects.update(started_at=timezone.now() - timedelta(days=100))
    old = timezone.now() - timedelta(days=91)
    Run.objects.create(started_at=old, trigger="cron", status="failed")
    refresh()
    assert [run.status for run in Run.objects.all()] == ["unchanged", "published"]


def test_a_run_without_changes_confirms_the_existing_snapshot(
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


def test_a_snapshot_has_the_published_entries(airtable: Sandbox) -> None:
    refresh()
    entries = {entry.number: entry for entry in services().snapshots.newest_entries()}
    assert len(entries) == 26
    assert entries[NUMBER] == services().call_store.read(NUMBER)
    assert entries[NUMBER].config == JOHN


def test_only_the_newest_ten_snapshots_are_kept(airtable: Sandbox) -> None:
    rows = airtable.base().table("dynamic_variables")
    row = record_id(airtable, "dynamic_variables", "customer_name", "John Doe")
    for index in range(12):
        rows.update(row, {"customer_name": str(index)})
        refresh()
    names = []
    for each in Snapshot.objects.all():
        config = next(e.config for e in entries_of(each) if e.number == NUMBER)
        names.append((config or {})["customer_name"])
    assert names == [str(index) for index in range(11, 1, -1)]


def test_a_failing_database_does_not_stop_a_refresh_of_redis(
    airtable: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(Run, "save", fail)
    monkeypatch.setattr(Snapshot.objects, "defer", fail)
    report = refresh()
    assert (report["exit"], report["added"]) == (0, 26)
    assert "(recording the run): away" in caplog.text


def test_a_snapshot_is_saved_even_if_the_database_has_lost_its_run(
    airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database server that crashed may have lost the last writes."""
    save = Snapshots.save

    def lose_run_and_save(snapshots: Snapshots, run: Run, *content: Any) -> None:
        Run.objects.all().delete()
        save(snapshots, run, *content)
        assert Run.objects.filter(pk=run.pk).exists()  # the snapshot needs it

    monkeypatch.setattr(Snapshots, "save", lose_run_and_save)
    assert refresh()["status"] == "published"
    assert Run.objects.get().status == "published"
    assert Snapshot.objects.get().numbers == 26


def test_progress_is_saved_during_the_run(
    airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PROGRESS_SECONDS", 0.0)
    seen: list[dict[str, int]] = []
    airtable.faults.add(
        Fault(table="dynamic_variables", before=lambda: seen.append(dict(saved_records)))
    )
    saved_records: dict[str, int] = {}
    save = Run.save

    def record_and_save(self: Run, *args: Any, **kwargs: Any) -> None:
        saved_records.update(self.records)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Run, "save", record_and_save)
    refresh()
    assert seen == [{"twilio_number": 26, "client": 26}]


class TestForecast:
    def test_a_refresh_logs_the_forecast(
        self, airtable: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", logger="airtable_sync")
        refresh()
        assert "Airtable requests in 20" in caplog.text

    def test_a_forecast_over_the_plans_quota_is_a_warning(
        self, airtable: Sandbox, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.AIRTABLE_PLAN = "free"
        services().call_store.set(usage_key(utc_now()), 1500)
        refresh()
        warnings = [
            r for r in caplog.records if "more than the 1,000 of the free plan" in r.message
        ]
        assert [record.levelname for record in warnings] == ["WARNING"]

    def test_a_dry_run_shows_the_difference(self, airtable: Sandbox) -> None:
        refresh()
        rename_john(airtable)
        status, output = run("refresh_airtable_cache", "--dry-run")
        assert status == 0
        assert f"{NUMBER} changed: customer_name: 'John Doe' → 'John D.'" in output


def test_the_last_record_counts_ignore_a_running_run() -> None:
    moment = timezone.now()
    Run.objects.create(
        started_at=moment, trigger="cron", status="published", records={"clients": 26}
    )
    Run.objects.create(started_at=moment + timedelta(1), trigger="cron", records={"clients": 3})
    assert history.last_record_counts() == {"clients": 26}
