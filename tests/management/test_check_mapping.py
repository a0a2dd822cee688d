"""check_cache and --dry-run compare the mapping with the base: all that is wrong, at once."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.airtable.sample.agency import AGENCY_MAPPING, agency_base
from sandbox.airtable.server import Sandbox
from tests.conftest import use_airtable
from tests.support.commands import refresh, run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

WRONG = {
    'table = "Hours"': 'table = "Texts"',
    'variables = ["Name", "Phone"]': 'variables = ["Name", "Fax"]',
    'view = "Live"': 'view = "Alive"',
    "[numbers.links.Texts]": '[numbers.links."Live since"]',
}
PROBLEMS = [
    "People has no field Fax",
    "Phone lines has no view Alive",
    "Phone lines.Opening hours links to Hours, not to Texts",
    "Phone lines.Live since is no link to other records",
]


@pytest.fixture
def use_mapping(settings: Any, tmp_path: Path) -> Any:
    """Uses the agency's mapping with these replacements."""

    def use(replaced: dict[str, str]) -> None:
        text = AGENCY_MAPPING.read_text(encoding="utf-8")
        for before, after in replaced.items():
            assert before in text
            text = text.replace(before, after)
        settings.AIRTABLE_MAPPING = str(tmp_path / "changed.toml")
        (tmp_path / "changed.toml").write_text(text, encoding="utf-8")

    return use


@pytest.fixture(autouse=True)
def agency(settings: Any) -> Any:
    with Sandbox([agency_base()], requests_per_second=None) as sandbox:
        use_airtable(settings, sandbox)
        yield sandbox


def checks() -> dict[str, dict[str, Any]]:
    _, output = run("check_cache", "--json")
    return {each["check"]: each for each in json.loads(output)["checks"]}


def test_everything_that_the_base_lacks_is_named_at_once(use_mapping: Any) -> None:
    use_mapping(WRONG)
    found, report = checks()["mapping"], refresh("--dry-run")
    assert not found["ok"]
    assert (report["exit"], report["status"]) == (2, "refused")
    for problem in PROBLEMS:
        assert problem in found["detail"]
        assert problem in report["error"]


def test_a_mapping_that_fits_has_the_count_of_its_view(use_mapping: Any) -> None:
    use_mapping({})
    found = checks()
    assert found["mapping"]["ok"]
    assert found["views and filters"]["detail"] == "Phone lines (view Live): 10 records"


def test_a_filter_that_airtable_refuses_has_airtables_sentence(use_mapping: Any) -> None:
    use_mapping({'view = "Live"': "filter = \"{Statuss} = 'Active'\""})
    found = checks()["views and filters"]
    assert not found["ok"]
    assert "Unknown field names: statuss" in found["detail"]
