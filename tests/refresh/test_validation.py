"""Validation: an implausible set is rejected, with a message that gives the reason."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches

from airtable_sync.airtable.limits.request_limits import REFRESH_LIMITS
from airtable_sync.cache.entry import Entry
from airtable_sync.models import Run
from airtable_sync.refresh.history import REJECTED_WITH_DIFFERENCES
from airtable_sync.refresh.report import TEXT_KEPT
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import counts, refresh, run
from tests.support.services import services

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_redis")]

REJECTED = (2, "refused", 0, 0, 0)


def remove_numbers(airtable: Sandbox, count: int) -> None:
    numbers = airtable.base().table("twilio_number")
    for each in [each for each in numbers.records if "234291" not in str(numbers.values(each))][
        :count
    ]:
        numbers.delete(each)


def duplicate_numbers(airtable: Sandbox, count: int) -> None:
    numbers = airtable.base().table("twilio_number")
    for each in list(numbers.records)[:count]:
        numbers.create(dict(numbers.values(each)))


def rename_hudson(airtable: Sandbox, name: str) -> None:
    row = record_id(airtable, "dynamic_variables", "customer_name", "Hudson Legal Group")
    airtable.base().table("dynamic_variables").update(row, {"customer_name": name})


def config_of_john() -> dict[str, str] | None:
    entry = services().call_store.read(NUMBER)
    return entry.config if entry else None


def test_a_set_that_lost_half_its_numbers_is_rejected(airtable: Sandbox) -> None:
    refresh()
    remove_numbers(airtable, 13)
    report = refresh()
    assert counts(report) == (2, "refused", 0, 0, 13)
    assert "Airtable has 13 numbers, the last published set had 26" in report["error"]
    assert report["error"].endswith("Use --force to publish anyway.")
    assert len(services().call_store.indexed_numbers()) == 26
    assert counts(refresh("--force")) == (0, "published", 0, 0, 13)
    assert counts(refresh()) == (0, "unchanged", 0, 0, 0)


def test_a_set_that_lost_a_few_numbers_is_published(airtable: Sandbox) -> None:
    refresh()
    remove_numbers(airtable, 5)
    assert counts(refresh()) == (0, "published", 0, 0, 5)


def test_a_setting_limits_how_many_numbers_may_be_lost(airtable: Sandbox, settings: Any) -> None:
    refresh()
    remove_numbers(airtable, 5)
    settings.REFRESH_MIN_SHARE = 0.95
    assert counts(refresh()) == (2, "refused", 0, 0, 5)


def test_a_single_number_may_always_be_removed(airtable: Sandbox, settings: Any) -> None:
    settings.REFRESH_MIN_SHARE = 1.0
    refresh()
    remove_numbers(airtable, 1)
    assert counts(refresh()) == (0, "published", 0, 0, 1)


def test_numbers_outside_to_numbers_do_not_count_as_lost(airtable: Sandbox, settings: Any) -> None:
    refresh()
    settings.TO_NUMBERS = [NUMBER, "+12125550187", "+442079460021"]
    assert refresh()["exit"] == 0


def test_after_redis_was_emptied_any_set_is_published(fake_redis: str, airtable: Sandbox) -> None:
    refresh()
    remove_numbers(airtable, 20)
    caches["default"].clear()
    assert counts(refresh()) == (0, "published", 6, 0, 0)


def test_unknown_numbers_of_calls_do_not_count_as_published(airtable: Sandbox) -> None:
    refresh()
    unknown = [
        Entry(f"+3247000{i:04}", None, services().call_store.now(), "lookup") for i in range(100)
    ]
    services().call_store.write(unknown, announce_unchanged=False)
    assert counts(refresh()) == (0, "unchanged", 0, 0, 0)


@pytest.mark.parametrize(
    ("table", "field"),
    [
        ("twilio_number", "twilio_number"),
        ("client", "dynamic_variables"),
        ("language_agent_names", "key_pair"),
    ],
)
def test_a_renamed_field_of_the_mapping_is_rejected_and_named(
    airtable: Sandbox, table: str, field: str
) -> None:
    refresh()
    airtable.base().rename_field(table, field, "renamed")
    report = refresh()
    assert counts(report) == REJECTED
    assert f"{table} has no field {field}" in report["error"]
    assert config_of_john() == JOHN


def test_a_renamed_table_is_rejected_and_named(airtable: Sandbox) -> None:
    refresh()
    airtable.base().rename_table("client", "customer")
    report = refresh()
    assert counts(report) == REJECTED
    assert "there is no table client" in report["error"]


def test_an_empty_column_is_not_a_missing_column(airtable: Sandbox) -> None:
    refresh()
    pairs = airtable.base().table("language_agent_names")
    for each in list(pairs.records):
        pairs.update(each, {"key_pair": None})
    report = refresh()
    assert report["exit"] == 0
    assert report["airtable_requests"] == 5  # one for the schema
    assert report["changed"] > 20


def test_without_the_schema_airtables_error_names_the_field(airtable: Sandbox) -> None:
    refresh()
    airtable.base().rename_field("language_agent_names", "key_pair", "renamed")
    airtable.faults.add(Fault(path="/meta/", status=403, times=None))
    report = refresh()
    assert counts(report) == REJECTED
    assert 'Unknown field name: "key_pair"' in report["error"]


def test_without_the_schema_a_column_without_any_value_is_rejected(
    flat_airtable: Sandbox,
) -> None:
    refresh()
    flat_airtable.base().rename_field("customers", "to_number", "renamed")
    flat_airtable.faults.add(Fault(path="/meta/", status=403, times=None))
    report = refresh()
    assert counts(report) == (2, "refused", 0, 0, 26)
    assert "no record has customers.to_number any more" in report["error"]
    assert "schema.bases:read" in report["error"]


def test_many_conflicts_are_rejected(airtable: Sandbox, settings: Any) -> None:
    refresh()
    duplicate_numbers(airtable, 6)
    report = refresh()
    assert counts(report) == REJECTED
    assert "6 of 26 numbers are in several records" in report["error"]
    settings.REFRESH_MAX_CONFLICT_SHARE = 0.5
    assert refresh()["exit"] == 0


def test_force_publishes_a_set_that_validation_rejects(airtable: Sandbox) -> None:
    refresh()
    duplicate_numbers(airtable, 6)
    assert refresh()["exit"] == 2
    assert refresh("--force")["exit"] == 0


def test_a_dry_run_reports_that_the_set_would_be_rejected(airtable: Sandbox) -> None:
    refresh()
    remove_numbers(airtable, 20)
    assert counts(refresh("--dry-run")) == (2, "refused", 0, 0, 20)
    status, output = run("refresh_airtable_cache", "--dry-run")
    assert status == 2
    assert "+31102345678 removed: Havenlogistiek Rotterdam" in output
    assert "the last published set had 26" in output


def test_a_rejected_run_keeps_what_it_would_have_changed(airtable: Sandbox) -> None:
    refresh()
    remove_numbers(airtable, 20)
    rename_hudson(airtable, "x" * 9000)
    refresh()
    run = Run.objects.latest("id")
    assert (run.numbers, run.changed, run.removed) == (6, 1, 20)
    first, *_, last = run.details["differences"]
    assert (first["kind"], last["kind"]) == ("removed", "changed")
    assert re.fullmatch(r"twilio_number/rec\w+", first["records"][0])
    assert len(last["fields"]["customer_name"][1]) == TEXT_KEPT + 1
    figures = [(each["name"], each["value"]) for each in run.details["rule"]]
    assert figures == [
        ("Published numbers", "26"),
        ("Numbers in Airtable", "6"),
        ("At least 60% (REFRESH_MIN_SHARE)", "16"),
    ]


def test_what_was_reviewed_is_published_and_nothing_else(airtable: Sandbox) -> None:
    refresh()
    remove_numbers(airtable, 20)
    refresh()
    reviewed = str(Run.objects.latest("id").pk)
    rename_hudson(airtable, "Johnny")  # no figure of the rule
    numbers = airtable.base().table("twilio_number")
    last = list(numbers.records)[-1]
    removed = numbers.values(last)
    numbers.delete(last)
    report = refresh("--full", "--reviewed", reviewed)
    assert counts(report) == (2, "refused", 0, 1, 21)
    assert f"Airtable has changed since run {reviewed} was reviewed" in report["error"]
    numbers.create(dict(removed))
    assert counts(refresh("--full", "--reviewed", reviewed)) == (0, "published", 0, 1, 20)


def test_only_the_newest_rejected_runs_keep_their_differences(airtable: Sandbox) -> None:
    refresh()
    remove_numbers(airtable, 20)
    refresh()
    first = Run.objects.latest("id")
    for _ in range(REJECTED_WITH_DIFFERENCES):
        assert Run.objects.get(pk=first.pk).details["differences"]
        refresh()
    first.refresh_from_db()
    assert (first.details["differences"], first.removed) == ([], 20)


@pytest.mark.django_db
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_table_named_by_id_may_be_renamed_during_the_reading(
    airtable: Sandbox, settings: Any, tmp_path: Path, force: tuple[str, ...]
) -> None:
    """Another process has stored the new name meanwhile. Then everything is read again."""
    base = airtable.base()
    file = tmp_path / "mapping.toml"
    file.write_text(
        f'[numbers]\ntable = "{base.table("twilio_number").id}"\n'
        'number_field = "twilio_number"\nregion = "BE"\n'
        '[numbers.links.client]\ntable = "client"\nvariables = ["name"]\n'
    )
    settings.AIRTABLE_MAPPING = str(file)

    def rename() -> None:
        base.rename_table("twilio_number", "lines")
        client = services().new_client(REFRESH_LIMITS)
        services().command_schema.store_tables(client.read_tables())

    airtable.faults.add(Fault(table="client", before=rename))
    report = refresh(*force)
    assert (report["status"], report["numbers"]) == ("published", 26)
