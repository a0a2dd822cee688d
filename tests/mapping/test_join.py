"""The join of linked records to configs."""

from typing import Any

import pytest

from airtable_sync.mapping.formatting import text_of
from airtable_sync.mapping.join import join
from airtable_sync.mapping.joined import Joined
from airtable_sync.mapping.known_base import KnownBase
from airtable_sync.mapping.load import load_mapping
from airtable_sync.mapping.records import Record

LINKED = load_mapping("airtable_sync/mapping/shipped/siftly.toml")
FLAT = load_mapping("airtable_sync/mapping/shipped/flat.toml")
KNOWN = KnownBase(
    {"dynamic_variables": dict.fromkeys(["name", "client", "customer_name", "account_type"])}
)
JOHN = {"customer_name": "John Doe", "account_type": "premium", "nl-be_agent_name": "Tom"}


def record(record_id: str, created: int = 1, **fields: Any) -> Record:
    return {"id": record_id, "createdTime": f"2026-01-{created:02}T00:00:00.000Z", "fields": fields}


def base_with(**tables: list[Record]) -> dict[str, dict[str, Record]]:
    tables_by_name = {
        "twilio_number": [record("recN", twilio_number="0460 23 42 91", client=["recC"])],
        "client": [
            record("recC", dynamic_variables=["recV"], language_agent_names=["recA"]),
        ],
        "dynamic_variables": [
            record("recV", name="row 1", customer_name="John Doe", account_type="premium"),
        ],
        "language_agent_names": [record("recA", key_pair="nl-be_agent_name = Tom")],
        **tables,
    }
    return {name: {each["id"]: each for each in rows} for name, rows in tables_by_name.items()}


def joined(**tables: list[Record]) -> Joined:
    return join(LINKED, base_with(**tables), KNOWN)


def test_linked_records_make_one_config() -> None:
    result = joined()
    config = result.configs["+32460234291"]
    assert config.variables == JOHN
    assert config.records == [
        "twilio_number/recN",
        "client/recC",
        "dynamic_variables/recV",
        "language_agent_names/recA",
    ]
    assert not config.warnings
    assert not result.findings.conflicts
    assert not result.findings.invalid


def test_an_empty_cell_of_a_known_field_is_an_empty_string() -> None:
    config = joined(dynamic_variables=[record("recV", customer_name="John Doe")])
    assert config.configs["+32460234291"].variables["account_type"] == ""


def test_the_variables_of_a_client_without_a_variables_record_are_empty() -> None:
    client = record("recC", language_agent_names=["recA"])
    config = joined(client=[client]).configs["+32460234291"]
    assert config.variables == {"customer_name": "", "account_type": "", "nl-be_agent_name": "Tom"}


def test_settings_are_separate_from_the_variables() -> None:
    row = record(
        "recV", customer_name="John", preferred_agent_id=" agent_1 ", twilio_connect_url=""
    )
    config = joined(dynamic_variables=[row]).configs["+32460234291"]
    assert config.settings == {"agent_id": "agent_1"}
    assert "preferred_agent_id" not in config.variables


def test_a_pair_is_split_at_the_first_equals_sign() -> None:
    row = record("recA", key_pair=" greeting = 1 + 1 = 2 ")
    config = joined(language_agent_names=[row]).configs["+32460234291"]
    assert config.variables["greeting"] == "1 + 1 = 2"


@pytest.mark.parametrize("text", ["Tom", "= Tom", "  = ", None])
def test_a_pair_without_a_name_is_left_out_with_a_warning(text: str | None) -> None:
    config = joined(language_agent_names=[record("recA", key_pair=text)]).configs["+32460234291"]
    assert set(config.variables) == {"customer_name", "account_type"}
    assert "language_agent_names/recA" in config.warnings[0]


def test_a_number_without_a_client_is_invalid_and_has_no_config() -> None:
    result = joined(twilio_number=[record("recN", twilio_number="0460 23 42 91")])
    assert not result.configs
    assert (
        str(result.findings.invalid[0])
        == "twilio_number/recN: +32460234291: no client is linked in client."
    )


def test_a_link_to_a_deleted_record_gives_a_warning() -> None:
    client = record("recC", dynamic_variables=["recV"], language_agent_names=["recA", "recGone"])
    config = joined(client=[client]).configs["+32460234291"]
    assert config.variables == JOHN
    assert config.warnings == [
        "client/recC: language_agent_names links a language_agent_names that does not exist."
    ]


def test_of_two_records_with_one_number_the_older_is_used_and_the_conflict_names_both() -> None:
    numbers = [
        record("recNew", created=2, twilio_number="+32460234291", client=["recOther"]),
        record("recOld", created=1, twilio_number="0460/23 42 91", client=["recC"]),
    ]
    result = joined(
        twilio_number=numbers, client=[*base_with()["client"].values(), record("recOther")]
    )
    assert result.configs["+32460234291"].variables == JOHN
    assert result.findings.conflicts[0].records == ("twilio_number/recOld", "twilio_number/recNew")
    assert "recOld, which is used" in str(result.findings.conflicts[0])


def test_an_older_record_without_a_config_does_not_hide_a_newer_one_that_has_one() -> None:
    numbers = [
        record("recOld", created=1, twilio_number="+32460234291"),
        record("recNew", created=2, twilio_number="+32460234291", client=["recC"]),
    ]
    result = joined(twilio_number=numbers)
    assert result.configs["+32460234291"].variables == JOHN
    assert not result.findings.conflicts
    assert len(result.findings.invalid) == 1


@pytest.mark.parametrize("text", ["n/a", "12", "+32460234291 or +32460234292"])
def test_text_that_is_not_a_number_is_reported_with_its_record(text: str) -> None:
    result = joined(twilio_number=[record("recN", twilio_number=text, client=["recC"])])
    assert not result.configs
    assert str(result.findings.invalid[0]).startswith("twilio_number/recN: ")
    assert repr(text) in str(result.findings.invalid[0])


def test_a_record_without_a_number_is_not_invalid() -> None:
    result = joined(twilio_number=[record("recN", client=["recC"])])
    assert not result.configs
    assert not result.findings.invalid


def test_a_number_field_of_the_type_number_works() -> None:
    result = joined(twilio_number=[record("recN", twilio_number=32460234291, client=["recC"])])
    assert result.configs["+32460234291"].variables == JOHN


def test_of_two_values_of_a_variable_the_first_is_used_with_a_warning() -> None:
    row = record("recA", key_pair="customer_name = Someone Else")
    config = joined(language_agent_names=[row]).configs["+32460234291"]
    assert config.variables["customer_name"] == "John Doe"
    assert config.warnings == [
        "language_agent_names/recA: customer_name was set before, to another value."
    ]


def test_in_the_flat_layout_every_other_field_is_a_variable() -> None:
    row = record("recR", to_number="+32 460 23 42 91", customer_name="John Doe", vip=True)
    tables = {"customers": {"recR": row}}
    known = KnownBase({"customers": dict.fromkeys(["to_number", "customer_name", "notes"])})
    config = join(FLAT, tables, known)
    expected = {"customer_name": "John Doe", "notes": "", "vip": "true"}
    assert config.configs["+32460234291"].variables == expected


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("Dutch", "Dutch"),
        ("half a \ud83d smile", "half a ? smile"),
        (5, "5"),
        (5.0, "5"),
        (0.125, "0.125"),
        (True, "true"),
        (False, "false"),
        (None, ""),
        (["a", 1, "", True], "a, 1, true"),
        ({"error": "#ERROR!"}, ""),
        ({"specialValue": "NaN"}, ""),
        ([{"error": "#ERROR!"}], ""),
        ({"id": "usr1", "email": "e@example.com", "name": "Eva"}, "Eva"),
        ({"text": "123", "type": "ean8"}, "123"),
        ({"state": "generated", "isStale": False, "value": "hello"}, "hello"),
        ({"state": "loading", "isStale": False, "value": None}, ""),
        ([{"id": "att1", "url": "https://x", "filename": "a.pdf"}], "a.pdf"),
        ({"label": "Open", "url": None}, "Open"),
        ({"later": [1]}, '{"later": [1]}'),
    ],
)
def test_every_type_of_cell_becomes_text(cell: Any, text: str) -> None:
    assert text_of(cell) == text
