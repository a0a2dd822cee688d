"""Proposed mappings, from three bases: Siftly's own, a flat English one and a Dutch one."""

import tomllib
from typing import Any

import pytest

from airtable_sync.proposal.candidates import NotProposed, SeveralCandidates
from airtable_sync.proposal.proposal import Proposal, propose
from sandbox.airtable.sample.bases import flat_base, linked_base
from tests.proposal.bases import PHONE, TEXT, FakeBase, dutch, english, from_sandbox, link, of


def proposed(base: FakeBase, table: str = "") -> tuple[Proposal, dict[str, Any]]:
    proposal = propose(base.inspected(), table)
    assert len(set(base.read)) == len(base.read)
    assert proposal.requests == len(base.read) + 1 <= 5
    for sentence in proposal.undecided:
        assert sentence in proposal.toml.replace("\n#   ", " ")
    return proposal, tomllib.loads(proposal.toml)


def test_siftlys_own_base_gets_siftlys_own_mapping() -> None:
    proposal, file = proposed(from_sandbox(linked_base()))
    assert file["format"] == {"time_zone": "Europe/Brussels"}
    client = file["numbers"].pop("links")["client"]
    assert file["numbers"] == {
        "table": "twilio_number",
        "number_field": "twilio_number",
        "region": "BE",
    }
    links = client.pop("links")
    assert client == {"table": "client", "variables": "*"}
    assert links["dynamic_variables"] == {
        "table": "dynamic_variables",
        "variables": "*",
        "except": ["name", "client_dynamic_variables_id", "client"],
        "settings": ["preferred_agent_id", "twilio_connect_url"],
    }
    assert links["language_agent_names"] == {
        "table": "language_agent_names",
        "many": True,
        "pairs_field": "key_pair",
    }
    assert (proposal.undecided, proposal.requests) == ([], 5)


def test_siftlys_flat_base_needs_two_requests() -> None:
    proposal, file = proposed(from_sandbox(flat_base()))
    assert file["numbers"] == {
        "table": "customers",
        "number_field": "to_number",
        "region": "BE",
        "variables": "*",
    }
    assert (proposal.candidate.numbers, proposal.requests) == (26, 2)


def test_an_english_base_with_numbers_in_number_fields() -> None:
    proposal, file = proposed(english())
    assert file["format"] == {"time_zone": "Europe/London", "names": "snake_case"}
    assert file["numbers"] == {
        "table": "Customers",
        "number_field": "Phone Number",
        "region": "GB",
        "variables": "*",
        "except": ["Contract", "PIN"],
        "settings": {"agent_id": "Agent ID"},
    }
    assert proposal.requests == 2
    own, unreadable, mobile, in_use, private = proposal.undecided
    assert own.endswith("may be people's own: check that they are the called numbers.")
    assert unreadable.startswith('1 of the cells in "Phone Number" of "Customers" can\'t be read')
    assert mobile.startswith('The table "Customers" has telephone numbers in "Mobile" too')
    assert in_use.endswith("if some are not in service, use view or filter.")
    assert private == '"PIN" of "Customers" may be private: it is left out.'


def test_what_only_people_know_is_a_commented_line_to_use() -> None:
    lines = proposed(english())[0].toml.splitlines()
    assert '# number_fields = ["Phone Number", "Mobile"]' in lines
    assert '# view = "Live customers"' in lines
    assert "# filter = \"{Status} = 'Active'\"" in lines


def test_a_dutch_base_with_linked_tables() -> None:
    proposal, file = proposed(dutch())
    assert file["format"] == {"time_zone": "Europe/Brussels", "names": "snake_case"}
    customer = file["numbers"].pop("links")["Klant"]
    assert file["numbers"] == {
        "table": "Telefoonlijnen",
        "number_field": "Telefoonnummer",
        "region": "BE",
        "variables": "*",
    }
    links = customer.pop("links")
    assert customer == {
        "table": "Klanten",
        "variables": "*",
        "except": ["Telefoonlijnen"],
        "prefix": "klant_",  # both tables have a Naam
    }
    assert links["Uren"] == {
        "table": "Openingsuren",
        "many": True,
        "variables": "*",
        "except": ["Klant"],
    }
    assert (proposal.undecided, proposal.requests) == ([], 5)


def test_two_links_to_one_table_get_prefixes() -> None:
    links = proposed(dutch())[1]["numbers"]["links"]["Klant"]["links"]
    assert links["Contactpersoon"]["prefix"] == "contactpersoon_"
    assert links["Vervanger"]["prefix"] == "vervanger_"


def test_several_records_of_several_fields_may_become_one_text_each() -> None:
    lines = proposed(dutch())[0].toml.splitlines()
    assert any(line.startswith('# item = "{Dag}: {Van}, {Tot}"') for line in lines)
    assert any(line.startswith('# variable = "uren"') for line in lines)


def two_tables() -> FakeBase:
    base = FakeBase()
    base.table("Shops", [of("Phone", PHONE)], {"rec1": {"Phone": "+32 460 23 42 91"}})
    base.table("Garages", [of("Phone", PHONE)], {"rec2": {"Phone": "+32 460 23 42 92"}})
    return base


def test_several_plausible_tables_are_listed_with_their_numbers() -> None:
    with pytest.raises(SeveralCandidates) as caught:
        propose(two_tables().inspected())
    found = {each.table.name: each.numbers for each in caught.value.candidates}
    assert found == {"Shops": 1, "Garages": 1}


def test_a_chosen_table_is_the_only_one_read() -> None:
    base = two_tables()
    _, file = proposed(base, "Garages")
    assert (file["numbers"]["table"], base.read) == ("Garages", ["Garages"])


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("Lines", 'There is no table "Lines". The base has these tables: "Hours".'),
        ("Hours", 'The table "Hours" has no field with telephone numbers.'),
        ("", 'No table with telephone numbers was found. The base has these tables: "Hours".'),
    ],
)
def test_without_numbers_nothing_is_proposed(table: str, sentence: str) -> None:
    base = FakeBase().table("Hours", [of("Day")], {"rec1": {"Day": "Monday"}})
    with pytest.raises(NotProposed) as caught:
        propose(base.inspected(), table)
    assert str(caught.value) == sentence


def test_an_empty_table_of_phone_numbers_is_proposed_and_said() -> None:
    base = FakeBase().table("Lines", [of("Number", PHONE), of("Customer")])
    proposal, file = proposed(base)
    assert file["numbers"]["number_field"] == "Number"
    assert "region" not in file["numbers"]
    assert proposal.undecided[0] == (
        '"Number" of "Lines" has no numbers yet: set region if they will have no country code.'
    )


def test_at_most_four_tables_are_read_and_the_others_are_named() -> None:
    names = ["Menu", "Hours", "Team", "Prices", "Parking"]
    base = FakeBase()
    for name in names:
        base.table(name, [of(f"{name} text")], {f"rec{name}": {}})
    fields = [of("Number", PHONE), *(link(name, name) for name in names)]
    base.table("Lines", fields, {"rec1": {"Number": "+32 460 23 42 91"}})
    proposal, file = proposed(base)
    assert base.read == ["Lines", "Menu", "Hours", "Team"]
    assert list(file["numbers"]["links"]) == names
    assert (
        'Only 4 tables are read. Check the sections of "Prices", "Parking", which come from the '
        "schema alone."
    ) in proposal.undecided


def line_with(*fields: dict[str, Any], **cells: Any) -> FakeBase:
    numbers = {"Number": "+32 460 23 42 91", **cells}
    return FakeBase().table("Lines", [of("Number", PHONE), *fields], {"rec1": numbers})


def test_a_log_of_calls_is_left_out() -> None:
    base = line_with(link("Calls", "Calls"), Calls=[f"rec{each}" for each in range(40)])
    base.table("Calls", [of("Text")])
    proposal, file = proposed(base)
    assert "links" not in file["numbers"]
    assert '"Calls" of "Lines" links up to 40 records: it is left out.' in proposal.undecided


def test_a_table_with_keys_and_values_becomes_variables() -> None:
    base = line_with(link("Texts", "Texts"), Texts=["recA"])
    base.table("Texts", [of("Sleutel"), of("Waarde")], {"recA": {"Sleutel": "a", "Waarde": "b"}})
    assert proposed(base)[1]["numbers"]["links"]["Texts"] == {
        "table": "Texts",
        "many": True,
        "key_field": "Sleutel",
        "value_field": "Waarde",
    }


@pytest.mark.parametrize("text", ["https://example.org/?a=b", "See a = b", "a == b", "Tom", "= b"])
def test_other_texts_are_no_pairs(text: str) -> None:
    base = line_with(link("Texts", "Texts"), Texts=["recA", "recB"])
    rows = {"recA": {"Text": text}, "recB": {"Text": "some words without a sign"}}
    base.table("Texts", [of("Text")], rows)
    assert "pairs_field" not in proposed(base)[1]["numbers"]["links"]["Texts"]


def test_several_numbers_in_a_cell_are_seen() -> None:
    base = FakeBase().table(
        "Lines",
        [of("Numbers", "multilineText")],
        {"rec1": {"Numbers": "+32 460 23 42 91\n0460 23 42 92; 09 225 36 47"}},
    )
    proposal, file = proposed(base)
    assert file["numbers"]["several_per_cell"] is True
    assert proposal.candidate.numbers == 3


def test_a_text_field_with_numbers_is_found_by_its_values_alone() -> None:
    base = FakeBase().table(
        "Records",
        [of("A"), of("B")],
        {"rec1": {"A": "1234", "B": "(415) 555-2671"}, "rec2": {"A": "1235", "B": "212-555-0187"}},
    )
    numbers = proposed(base)[1]["numbers"]
    assert (numbers["number_field"], numbers["region"]) == ("B", "US")


def test_a_country_that_the_numbers_leave_open_is_said() -> None:
    base = FakeBase().table("Lines", [of("Number", PHONE)], {"rec1": {"Number": "06 12345678"}})
    proposal, file = proposed(base)
    assert "region" not in file["numbers"]
    assert proposal.undecided[0].startswith(
        'The numbers in "Number" of "Lines" may be of several countries ('
    )
    base.schema[0]["fields"].append(of("Since", "dateTime", timeZone="Europe/Amsterdam"))
    base.schema[0]["fields"][-1]["id"] = "fldSince"
    base.read.clear()
    assert proposed(base)[1]["numbers"]["region"] == "NL"


def test_several_time_zones_stay_as_they_are() -> None:
    base = line_with(
        of("Opens", "dateTime", timeZone="Europe/Paris"),
        of("Closes", "dateTime", timeZone="Europe/London"),
    )
    proposal, file = proposed(base)
    assert "time_zone" not in file["format"]
    assert any("(Europe/London, Europe/Paris)" in each for each in proposal.undecided)


def test_names_that_snake_case_makes_equal_or_empty_are_renamed() -> None:
    base = line_with(of("First name"), of("first_name"), of("📞"))
    assert proposed(base)[1]["numbers"]["rename"] == {
        "first_name": "first_name_2",
        "📞": "field_2",
    }


def test_attachments_buttons_and_lookups_of_links_are_no_variables() -> None:
    lookup = of("Owners", "multipleLookupValues", result={"type": "multipleRecordLinks"})
    base = line_with(of("Text", TEXT), of("Photo", "multipleAttachments"), lookup)
    assert proposed(base)[1]["numbers"]["except"] == ["Photo", "Owners"]
