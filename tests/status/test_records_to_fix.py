"""Records that a person has to correct, from the last complete run."""

import pytest
from django.utils import timezone

from airtable_sync.models import Run
from airtable_sync.status.health.records_to_fix import SHOWN, records_to_fix

pytestmark = pytest.mark.django_db


def found(**details: list[object]) -> list[tuple[tuple[str, ...], str, str]]:
    run = Run.objects.create(started_at=timezone.now(), trigger="cron", details=details)
    made = records_to_fix(run)
    assert made.count == sum(map(len, details.values())) - ("warnings" in details)
    return [(each.records, each.problem, each.served) for each in made.shown]


def test_each_kind_of_problem_is_a_sentence_and_says_what_agents_get() -> None:
    assert found(
        conflicts=[
            {"number": "+32460234291", "records": ["lines/recA", "lines/recB"]},
            {"number": "The number of a contact (…91)", "records": ["contacts/recC"]},
        ],
        invalid=[{"record": "lines/recD", "reason": "no client is linked in client."}],
        warnings=["clients/recE: Rate is an error and counts as empty.", "Links are left out."],
    ) == [
        (
            ("lines/recA", "lines/recB"),
            "Several records have the number +32460234291.",
            "The config of the first record, which is the oldest.",
        ),
        (
            ("contacts/recC",),
            "The number of a contact (…91) is in several records.",
            "The config of the first record, which is the oldest.",
        ),
        (
            ("lines/recD",),
            "No client is linked in client.",
            "Nothing: this record is ignored.",
        ),
        (
            ("clients/recE",),
            "Rate is an error and counts as empty.",
            "The rest of the config.",
        ),
    ]


def test_the_page_shows_some_and_counts_all() -> None:
    invalid: list[object] = [{"record": f"lines/rec{n}", "reason": "wrong"} for n in range(900)]
    assert len(found(invalid=invalid)) == SHOWN


def test_a_run_without_details_has_none() -> None:
    assert found() == []
