"""The agency's sample base and its mapping. test_run_base.py tests `make run BASE=agency`."""

import tomllib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import phonenumbers
import pytest
from pyairtable import Api

from sandbox.airtable.data.bases import Base
from sandbox.airtable.sample.agency import AGENCY_BASE_ID, AGENCY_MAPPING, agency_base
from sandbox.airtable.sample.agency_hours import DAYS
from sandbox.airtable.server import Sandbox
from sandbox.samples import SAMPLES


@pytest.fixture(scope="module")
def agency() -> Iterator[Api]:
    with Sandbox([agency_base()], requests_per_second=None) as sandbox:
        client = Api(sandbox.token, endpoint_url=sandbox.url, timeout=(5, 10))
        client.session.trust_env = False
        yield client
        client.session.close()


def records(api: Api, table: str, **options: Any) -> list[dict[str, Any]]:
    return [record["fields"] for record in api.table(AGENCY_BASE_ID, table).all(**options)]


def e164(typed: str) -> str:
    parsed = phonenumbers.parse(typed, "BE")
    assert phonenumbers.is_valid_number(parsed), typed
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


@pytest.mark.parametrize(
    ("table", "field", "expected"),
    [
        ("Phone lines", "Price per minute", {"precision": 2, "symbol": "€"}),
        ("Phone lines", "Max wait", {"durationFormat": "h:mm"}),
        ("Phone lines", "Live since", {"dateFormat": {"format": "D/M/YYYY", "name": "european"}}),
        ("Phone lines", "Recording", {"icon": "check", "color": "greenBright"}),
        ("Clients", "VAT", {"precision": 1}),
        ("Clients", "Logo", {"isReversed": False}),
    ],
)
def test_the_schema_has_the_options_of_a_field(
    table: str, field: str, expected: dict[str, Any], agency: Api
) -> None:
    options: Any = agency.base(AGENCY_BASE_ID).schema().table(table).field(field)
    assert options.options.model_dump(by_alias=True) == expected


def test_the_schema_has_the_time_zone_the_days_and_the_result_of_a_formula(agency: Api) -> None:
    schema = agency.base(AGENCY_BASE_ID).schema()
    reviewed: Any = schema.table("Phone lines").field("Reviewed")
    assert reviewed.options.time_zone == "Europe/Brussels"
    assert reviewed.options.time_format.format == "HH:mm"
    day: Any = schema.table("Hours").field("Day")
    assert tuple(choice.name for choice in day.options.choices) == DAYS
    fee: Any = schema.table("Clients").field("Fee with VAT")
    assert (fee.options.result.type, fee.options.result.options.symbol) == ("currency", "€")


def test_the_view_has_only_active_lines(agency: Api) -> None:
    assert len(records(agency, "Phone lines")) == 12
    live = records(agency, "Phone lines", view="Live")
    assert [line["Status"] for line in live] == ["Active"] * 10
    assert all(line["Client"] for line in live)


def test_values_have_the_digits_and_times_that_airtable_sends(agency: Api) -> None:
    [client] = records(agency, "Clients", formula="{Company name} = 'Bakkerij Zonnegloed'")
    assert (client["Monthly fee"], client["Discount"]) == (29.990000000000002, 0.07500000000000001)
    [line] = records(agency, "Phone lines", formula="{Max wait} = 5400")
    assert line["Reviewed"] == "2026-08-20T15:45:00.000Z"
    assert line["Client VAT"] == [0.21]


def test_ids_and_times_are_the_same_in_two_builds() -> None:
    first, second = agency_base(), agency_base()
    for one, other in zip(first.tables, second.tables, strict=True):
        assert one.id == other.id
        assert [view.id for view in one.views] == [view.id for view in other.views]
        assert [field.id for field in one.fields] == [field.id for field in other.fields]
        created = {record.id: record.created_time for record in one.records.values()}
        assert created == {record.id: record.created_time for record in other.records.values()}
        assert [one.values(each) for each in created] == [other.values(each) for each in created]


def test_every_id_is_used_once() -> None:
    base = agency_base()
    ids = [table.id for table in base.tables]
    for table in base.tables:
        ids += [field.id for field in table.fields] + [view.id for view in table.views]
        ids += table.records
    assert len(ids) == len(set(ids))


def test_each_linked_record_exists() -> None:
    base = agency_base()
    for table in base.tables:
        for field in [each for each in table.fields if each.links_to]:
            for record in table.records.values():
                linked = record.cells.get(field.id, [])
                assert set(linked) <= base.table(field.links_to).records.keys()


def test_each_contact_has_a_client_and_one_number_belongs_to_contacts_of_two() -> None:
    contacts = agency_base().table("Contacts")
    rows = [contacts.values(record_id) for record_id in contacts.records]
    assert len(rows) == 40
    assert all(len(row["Client"]) == 1 for row in rows)
    [(shared, times)] = Counter(e164(row["Phone"]) for row in rows).most_common(1)
    assert times == 2
    assert len({row["Client"][0] for row in rows if e164(row["Phone"]) == shared}) == 2


def called_numbers(base: Base) -> list[str]:
    table = base.table("Phone lines")
    rows = [table.values(record_id) for record_id in table.records]
    cells = [row.get(name, "") for row in rows for name in ("Number", "Also reachable on")]
    return [e164(typed) for cell in cells for typed in cell.split(",") if typed]


def test_the_lines_have_14_different_numbers_and_the_printed_one_is_among_them() -> None:
    numbers = called_numbers(agency_base())
    assert len(numbers) == len(set(numbers)) == 14
    assert SAMPLES["agency"].called_number == numbers[0]


def test_the_mapping_names_only_tables_fields_and_views_of_the_base() -> None:
    mapping = tomllib.loads(AGENCY_MAPPING.read_text(encoding="utf-8"))
    for section in mapping["numbers"]:
        assert_names_exist(section, agency_base())


def assert_names_exist(section: dict[str, Any], base: Base) -> None:
    table = base.table(section["table"])
    if "view" in section:
        assert any(view.matches(section["view"]) for view in table.views)
    variables = section.get("variables", "*")
    for name in [
        *([] if variables == "*" else variables),
        *(name for key in ("number_fields", "except", "sort") for name in section.get(key, [])),
        *section.get("rename", {}),
        *section.get("settings", {}).values(),
        *([section["pairs_field"]] if "pairs_field" in section else []),
    ]:
        assert table.field(name)
    for name, linked in section.get("links", {}).items():
        assert table.field(name).links_to == linked["table"]
        assert_names_exist(linked, base)
