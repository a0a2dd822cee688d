"""A lookup reads one or a few numbers from Airtable."""

import threading
from typing import Any

import pytest

from airtable_sync.airtable import formulas
from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache.entry import Entry
from airtable_sync.lookup.airtable_lookup import AirtableLookup
from airtable_sync.mapping.base_schema import KEY
from airtable_sync.mapping.known_base import KnownBase
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id, use_redis
from tests.support.cast import JOHN, NUMBER
from tests.support.services import services

pytestmark = pytest.mark.usefixtures("fake_redis")


def look_up(numbers: list[str]) -> dict[str, Entry]:
    own = services()
    lookup = AirtableLookup(own.call_client, own.active_mapping, own.call_schema, own.call_store)
    return lookup.look_up(numbers)


def config_of(number: str) -> dict[str, str] | None:
    return look_up([number])[number].config


def test_the_linked_layout_needs_four_requests_in_three_round_trips(airtable: Sandbox) -> None:
    both_are_sent = threading.Barrier(2, timeout=30)
    for table in ("dynamic_variables", "language_agent_names"):
        airtable.faults.add(Fault(table=table, before=both_are_sent.wait))
    assert config_of(NUMBER) == JOHN
    number, client, *last_two = airtable.requests
    assert len(last_two) == 2
    assert number.finished_at
    assert client.finished_at
    assert client.started_at >= number.finished_at
    assert min(each.started_at for each in last_two) >= client.finished_at


def test_many_linked_records_need_no_more_requests(airtable: Sandbox) -> None:
    base = airtable.base()
    names = base.table("language_agent_names")
    more = [names.create({"key_pair": f"agent_{i} = Name {i}"}).id for i in range(60)]
    client = record_id(airtable, "client", "name", "John Doe")
    base.table("client").update(client, {"language_agent_names": more})
    config = config_of(NUMBER)
    assert config
    assert config["agent_59"] == "Name 59"
    assert len(airtable.requests) == 4


def test_the_flat_layout_needs_one_request(flat_airtable: Sandbox) -> None:
    config = config_of(NUMBER)
    assert config
    assert config["customer_name"] == "John Doe"
    assert len(flat_airtable.requests) == 1


def test_an_unknown_number_needs_one_request(airtable: Sandbox) -> None:
    entry = look_up(["+32460999999"])["+32460999999"]
    assert not entry.is_known
    assert len(airtable.requests) == 1


@pytest.mark.parametrize(
    "written",
    [
        "+32460111222",
        "0460 11 12 22",
        "0032 460/11.12.22",
        "+32 (0)460 11 12 22",
        "\u202a+32 460 11 12 22\u202c",
        "sip:+32460111222@10.1.2.3:5060",
        "tel:+32-460-111-222;ext=12",
        "0460 11 12 22 ext. 12",
        "\uff10\uff14\uff16\uff10 11 12 22",
        "(+32) 460\u202f11 12 22",
    ],
)
def test_a_number_is_found_in_every_way_of_writing_it(airtable: Sandbox, written: str) -> None:
    base = airtable.base()
    client = record_id(airtable, "client", "name", "John Doe")
    base.table("twilio_number").create({"twilio_number": written, "client": [client]})
    assert config_of("+32460111222") is not None


def test_a_number_with_the_same_last_digits_is_a_different_number(airtable: Sandbox) -> None:
    base = airtable.base()
    client = record_id(airtable, "client", "name", "John Doe")
    base.table("twilio_number").create({"twilio_number": "+31 6 60234291", "client": [client]})
    assert config_of(NUMBER) == JOHN
    assert config_of("+31660234291") is not None
    assert config_of("+33660234291") is None


def test_a_short_national_number_is_found(airtable: Sandbox, settings: Any) -> None:
    base = airtable.base()
    client = record_id(airtable, "client", "name", "John Doe")
    base.table("twilio_number").create({"twilio_number": "+354 555 1234", "client": [client]})
    assert config_of("+3545551234") is not None


def test_several_numbers_are_looked_up_together(airtable: Sandbox) -> None:
    numbers = [NUMBER, "+12125550187", "+32460999999"]
    entries = look_up(numbers)
    assert [entries[number].is_known for number in numbers] == [True, True, False]
    assert len(airtable.requests) == 4


def test_of_two_records_with_one_number_the_older_is_used(airtable: Sandbox) -> None:
    base = airtable.base()
    other = record_id(airtable, "client", "name", "Hudson Legal Group")
    base.table("twilio_number").create({"twilio_number": "0460 23 42 91", "client": [other]})
    assert config_of(NUMBER) == JOHN


def test_an_empty_cell_of_a_known_field_is_an_empty_string(airtable: Sandbox) -> None:
    base = airtable.base()
    services().call_schema.add_seen_fields(
        {"dynamic_variables": ["customer_name", "account_type", "later_field"]}
    )
    row = record_id(airtable, "dynamic_variables", "customer_name", "John Doe")
    base.table("dynamic_variables").update(row, {"account_type": ""})
    config = config_of(NUMBER)
    assert config
    assert config["account_type"] == ""
    assert config["later_field"] == ""


@pytest.mark.parametrize(
    "value",
    ["{nonsense", "[1]", '{"tables": 5}', '{"fields": 5, "ids": {}, "read_at": 0}', "5"],
)
def test_an_invalid_stored_schema_is_ignored(airtable: Sandbox, value: str) -> None:
    store = services().call_store
    store._redis.set(store.full_key(KEY), value)
    assert config_of(NUMBER) == JOHN
    assert services().call_schema.add_seen_fields({"t": ["f"]}) == KnownBase({"t": {"f": None}})


def test_without_redis_a_lookup_works(airtable: Sandbox, settings: Any) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    assert config_of(NUMBER) == JOHN


def test_without_a_token_no_request_is_sent_and_pyairtable_is_not_imported(
    fake_redis: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AIRTABLE_API_KEY = None
    monkeypatch.setattr(formulas, "_pyairtable_formulas", lambda: pytest.fail("it was imported"))
    with pytest.raises(AirtableError, match="AIRTABLE_API_KEY is not set"):
        look_up([NUMBER])
