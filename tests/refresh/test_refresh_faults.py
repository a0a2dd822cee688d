"""Faults of Airtable during a refresh: the exit status and the message report them, the last
published set stays, and no request is wasted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airtable_sync.airtable.limits import rate_limiter
from airtable_sync.airtable.limits.request_limits import RequestLimits
from airtable_sync.management.commands import refresh_airtable_cache
from sandbox.airtable.data.bases import Base
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.large import large_base, number_of
from sandbox.airtable.server import Sandbox
from tests.conftest import use_airtable
from tests.refresh.test_refresh import config
from tests.support.commands import refresh

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_redis"), pytest.mark.slow]

NUMBERS = 350  # three pages of each table or more
PAGES = {"twilio_number": 4, "client": 3, "dynamic_variables": 3, "language_agent_names": 3}
SCHEMA = 1  # request, before all others
ALL = SCHEMA + sum(PAGES.values())
BEFORE_PAGE_3 = SCHEMA + 4 + 3 + 2  # of dynamic_variables
TRIES = 3


@pytest.fixture(autouse=True)
def quick_retries(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    read_seconds = 1.5 if "hang" in request.node.name else 30.0
    quick = RequestLimits(30.0, read_seconds, 30.0, (0.01, 0.01), 0.15, 30.0, is_call=False)
    monkeypatch.setattr(refresh_airtable_cache, "REFRESH_LIMITS", quick)
    monkeypatch.setattr(rate_limiter, "LOCKOUT_SECONDS", 0.1)


@pytest.fixture
def airtable(settings: Any) -> Iterator[Sandbox]:
    """An Airtable whose base was read once, and was edited after that."""
    with Sandbox([large_base(NUMBERS)], requests_per_second=None) as sandbox:
        use_airtable(settings, sandbox)
        assert refresh()["added"] == NUMBERS
        rows = sandbox.base().table("dynamic_variables")
        rows.update(next(iter(rows.records)), {"customer_name": "Changed"})
        sandbox.state.log.clear()
        yield sandbox


def cached_name() -> str:
    """The cached name of the customer that was edited."""
    found = config(number_of(0))
    assert found
    return found["customer_name"]


def fault_on_page_3(**fault: Any) -> Fault:
    return Fault(table="dynamic_variables", page=3, **fault)


class TestFailed:
    """Temporary faults: status 1. Cron tries again."""

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            ({"status": 500}, "Airtable answered 500 SERVER_ERROR"),
            ({"status": 503, "html": "<h1>Back soon</h1>"}, "Airtable answered 503"),
            ({"html": "<h1>Hello</h1>"}, "Airtable's response was cut off or is not JSON."),
            ({"json": ["records"]}, "Airtable's response is not a list of records."),
            ({"truncated": True}, "Airtable's response was cut off or is not JSON."),
            ({"reset": True}, "Airtable can't be reached."),
            pytest.param(
                {"hang": True}, "Airtable did not answer in time.", marks=pytest.mark.slow
            ),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_a_page_that_fails_repeatedly_ends_the_refresh(
        self, airtable: Sandbox, fault: dict[str, Any], message: str
    ) -> None:
        airtable.faults.add(fault_on_page_3(times=None, **fault))
        report = refresh()
        assert (report["exit"], report["status"]) == (1, "failed")
        assert report["error"] == message
        # A kept connection that was reset is replaced immediately, with another request.
        tries = TRIES + ("reset" in fault)
        assert report["airtable_requests"] == len(airtable.requests) == BEFORE_PAGE_3 + tries
        assert cached_name() == "Customer 0"

    @pytest.mark.parametrize(
        "fault", ["status", pytest.param("hang", marks=pytest.mark.slow), "reset", "truncated"]
    )
    def test_a_page_that_fails_once_takes_one_more_request(
        self, airtable: Sandbox, fault: str
    ) -> None:
        value = 502 if fault == "status" else True
        airtable.faults.add(fault_on_page_3(**{fault: value}))
        report = refresh()
        assert (report["exit"], report["changed"], report["unchanged"]) == (0, 2, NUMBERS - 2)
        assert report["airtable_requests"] == ALL + 1
        assert cached_name() == "Changed"

    def test_it_waits_after_too_many_requests(self, airtable: Sandbox) -> None:
        airtable.faults.add(fault_on_page_3(status=429, shape="array"))
        report = refresh()
        assert (report["exit"], report["changed"]) == (0, 2)
        assert report["airtable_requests"] == ALL + 1

    def test_it_does_not_ask_again_after_the_quota_is_exceeded(self, airtable: Sandbox) -> None:
        spent = {"error": "PUBLIC_API_BILLING_LIMIT_EXCEEDED", "message": "API limit exceeded."}
        airtable.faults.add(fault_on_page_3(status=429, shape="array", times=None, **spent))
        first, second = refresh(), refresh()
        assert (first["exit"], second["exit"]) == (1, 1)
        assert first["error"].endswith("PUBLIC_API_BILLING_LIMIT_EXCEEDED: API limit exceeded.")
        assert first["airtable_requests"] == BEFORE_PAGE_3 + 1
        assert second["error"] == "The plan's requests to Airtable of this month are used up."
        assert second["airtable_requests"] == 0
        assert cached_name() == "Customer 0"

    def test_a_table_is_read_again_if_airtable_loses_the_position(self, airtable: Sandbox) -> None:
        airtable.faults.add(fault_on_page_3(lose_iterator=True))
        report = refresh()
        assert (report["exit"], report["changed"], report["unchanged"]) == (0, 2, NUMBERS - 2)
        assert (report["added"], report["removed"], report["conflicts"]) == (0, 0, 0)
        assert report["airtable_requests"] == ALL + 3

    def test_it_fails_if_airtable_always_loses_the_position(self, airtable: Sandbox) -> None:
        airtable.faults.add(fault_on_page_3(lose_iterator=True, times=None))
        report = refresh()
        assert (report["exit"], report["status"]) == (1, "failed")
        assert report["error"] == "Airtable answered 422 LIST_RECORDS_ITERATOR_NOT_AVAILABLE"
        assert report["airtable_requests"] == SCHEMA + 4 + 3 + 4 * 3
        assert cached_name() == "Customer 0"


class TestRejected:
    """Someone has to correct the base or the mapping: status 2."""

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (
                lambda base: base.rename_table("client", "clients"),
                "there is no table client",
            ),
            (
                lambda base: base.rename_field("client", "dynamic_variables", "variables"),
                "client has no field dynamic_variables",
            ),
            (
                lambda base: base.rename_field("language_agent_names", "key_pair", "pair"),
                "language_agent_names has no field key_pair",
            ),
            (
                lambda base: base.rename_field("twilio_number", "twilio_number", "number"),
                "twilio_number has no field twilio_number",
            ),
            (
                lambda base: base.table("client").remove_field("language_agent_names"),
                "client has no field language_agent_names",
            ),
        ],
        ids=["a table", "a link", "the pairs", "the numbers", "a deleted link"],
    )
    def test_the_base_lacks_something_that_the_mapping_names(
        self, airtable: Sandbox, change: Callable[[Base], None], problem: str
    ) -> None:
        change(airtable.base())
        report = refresh()
        assert (report["exit"], report["status"]) == (2, "refused")
        message = f"the mapping does not fit the base: {problem}. Use --force to publish anyway."
        assert report["error"] == message
        assert report["airtable_requests"] == SCHEMA
        assert cached_name() == "Customer 0"

    def test_a_named_field_is_missing_where_all_fields_are_read(
        self, flat_airtable: Sandbox
    ) -> None:
        assert refresh()["added"] == 26
        flat_airtable.base().rename_field("customers", "to_number", "number")
        report = refresh()
        assert (report["exit"], report["status"]) == (2, "refused")
        assert "customers has no field to_number." in report["error"]
        assert report["airtable_requests"] == SCHEMA
        assert config()

    def test_a_link_is_renamed_during_the_reading(self, airtable: Sandbox) -> None:
        base = airtable.base()
        rename = lambda: base.rename_field("client", "dynamic_variables", "vars")  # noqa: E731
        airtable.faults.add(Fault(table="client", page=3, before=rename))
        report = refresh()
        assert (report["exit"], report["status"]) == (2, "refused")
        assert "client has no field dynamic_variables." in report["error"]
        assert report["airtable_requests"] == SCHEMA + 4 + 3 + 1
        assert cached_name() == "Customer 0"

    def test_a_listed_variable_is_renamed_during_the_reading(
        self, airtable: Sandbox, settings: Any, tmp_path: Path
    ) -> None:
        settings.AIRTABLE_MAPPING = str(tmp_path / "listed.toml")
        shipped = Path("airtable_sync/mapping/shipped/siftly.toml").read_text(encoding="utf-8")
        lines = [line for line in shipped.splitlines() if not line.startswith(("except", "settin"))]
        listed = "\n".join(lines).replace('variables = "*"', 'variables = ["customer_name"]')
        Path(settings.AIRTABLE_MAPPING).write_text(listed, encoding="utf-8")
        airtable.faults.add(fault_on_page_3(before=renaming_a_variable(airtable.base())))
        report = refresh()
        assert (report["exit"], report["status"]) == (2, "refused")
        assert "dynamic_variables has no field customer_name." in report["error"]
        assert report["airtable_requests"] == BEFORE_PAGE_3 + 1 + 1
        assert cached_name() == "Customer 0"

    def test_a_field_is_renamed_during_both_readings(self, airtable: Sandbox) -> None:
        airtable.faults.add(fault_on_page_3(before=renaming_a_variable(airtable.base()), times=2))
        report = refresh()
        assert (report["exit"], report["status"]) == (2, "refused")
        assert "name 1 was renamed or removed while the base was read." in report["error"]
        assert report["airtable_requests"] == 2 * (ALL + 1)
        assert cached_name() == "Customer 0"

    def test_a_column_is_empty_and_the_schema_cannot_be_read(
        self, airtable: Sandbox, settings: Any
    ) -> None:
        airtable.add_token("reader", scopes=["data.records:read"])
        settings.AIRTABLE_API_KEY = "reader"
        clear_column(airtable, "client", "language_agent_names")
        report = refresh()
        assert (report["exit"], report["status"]) == (2, "refused")
        assert report["error"].startswith("no record has client.language_agent_names any more.")
        assert "schema.bases:read" in report["error"]
        assert report["airtable_requests"] == ALL
        assert cached_name() == "Customer 0"


class TestPublished:
    """Unusual, but correct: status 0."""

    def test_a_variable_renamed_during_the_reading_causes_a_second_reading(
        self, airtable: Sandbox
    ) -> None:
        airtable.faults.add(fault_on_page_3(before=renaming_a_variable(airtable.base())))
        report = refresh()
        assert (report["exit"], report["changed"]) == (0, NUMBERS)
        assert report["airtable_requests"] == ALL + 1 + ALL
        for index in (0, NUMBERS - 1):  # of the first page, and of the last
            found = config(number_of(index))
            assert found
            assert found["name 1"]

    def test_an_existing_column_is_empty(self, airtable: Sandbox) -> None:
        clear_column(airtable, "client", "language_agent_names")
        report = refresh()
        assert (report["exit"], report["changed"]) == (0, NUMBERS)
        assert report["airtable_requests"] == ALL
        assert cached_name() == "Changed"

    def test_a_table_grows_during_the_reading(self, airtable: Sandbox) -> None:
        base = airtable.base()
        client = next(iter(base.table("client").records))
        row = {"twilio_number": "+32460234291", "client": [client]}
        grow = lambda: base.table("twilio_number").create(row)  # noqa: E731
        airtable.faults.add(Fault(table="twilio_number", page=3, before=grow))
        report = refresh()
        assert (report["exit"], report["numbers"], report["removed"]) == (0, NUMBERS, 0)
        assert report["airtable_requests"] == ALL


def renaming_a_variable(base: Base) -> Callable[[], None]:
    """A function that renames a field of the variables each time it is called."""
    names = ["customer_name", "name 1", "name 2"]

    def rename() -> None:
        base.rename_field("dynamic_variables", names.pop(0), names[0])

    return rename


def clear_column(airtable: Sandbox, table: str, field: str) -> None:
    rows = airtable.base().table(table)
    for record in rows.records:
        rows.update(record, {field: None})
