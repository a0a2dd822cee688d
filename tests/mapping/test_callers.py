"""[callers]: contacts become entries by whose they are and their number."""

from typing import Any

import pytest

from airtable_sync.mapping.join import join
from airtable_sync.mapping.joined import Joined
from airtable_sync.mapping.known_base import KnownBase
from airtable_sync.mapping.load import parse_mapping
from airtable_sync.mapping.resolve import missing_in_base, resolve
from airtable_sync.mapping.schema import MappingError
from tests.mapping.test_words import TABLES, records

NUMBERS = "[numbers]\ntable = 'Lines'\nnumber_field = 'Number'\nregion = 'BE'\n"
CALLERS = f"{NUMBERS}[callers]\ntable='Contacts'\nnumber_field='Phone'\nregion='BE'\n"
OWNED = f"{CALLERS}belongs_to='Client'\nvariables=['First name']\n"
ANNA = "+32470000001"


def contacts(text: str, **cells_by_id: dict[str, Any]) -> Joined:
    mapping = parse_mapping(text, "test.toml").of_callers()
    return join(resolve(mapping, KnownBase()), {"Contacts": records(**cells_by_id)}, KnownBase())


def test_a_contact_has_a_key_for_each_record_that_it_belongs_to() -> None:
    row = {"Phone": "0470 00 00 01", "First name": "Anna", "Client": ["recA", "recB"]}
    found = contacts(OWNED, recC=row)
    assert {key: config.variables for key, config in found.configs.items()} == {
        f"recA/{ANNA}": {"caller_First name": "Anna"},
        f"recB/{ANNA}": {"caller_First name": "Anna"},
    }
    assert not found.findings.conflicts


def test_the_same_number_may_be_another_contact_for_each_client() -> None:
    found = contacts(
        OWNED,
        rec1={"Phone": "0470 00 00 01", "First name": "Anna", "Client": ["recA"]},
        rec2={"Phone": "+32470000001", "First name": "Ben", "Client": ["recB"]},
    )
    assert found.configs[f"recA/{ANNA}"].variables == {"caller_First name": "Anna"}
    assert found.configs[f"recB/{ANNA}"].variables == {"caller_First name": "Ben"}
    assert not found.findings.conflicts


def test_of_two_contacts_with_one_number_for_one_client_the_older_wins_and_both_are_named() -> None:
    found = contacts(
        OWNED,
        rec1={"Phone": "0470 00 00 01", "First name": "Anna", "Client": ["recA"]},
        rec2={"Phone": "+32470000001", "First name": "Ben", "Client": ["recA"]},
    )
    assert found.configs[f"recA/{ANNA}"].variables == {"caller_First name": "Anna"}
    assert [each.records for each in found.findings.conflicts] == [
        ("Contacts/rec1", "Contacts/rec2")
    ]


def test_contacts_without_a_number_or_a_client_are_counted() -> None:
    found = contacts(
        OWNED,
        rec1={"First name": "Anna", "Client": ["recA"]},
        rec2={"Phone": "+32470000001", "First name": "Ben"},
        rec3={"Phone": "private", "Client": ["recA"]},
    )
    assert (found.configs, found.findings.invalid, found.findings.skipped) == ({}, [], 3)


def test_shared_contacts_are_everybodys() -> None:
    text = f"{CALLERS}shared=true\nvariables=['First name']\nprefix='who_'"
    found = contacts(text, rec1={"Phone": "+32470000001", "First name": "Anna"})
    assert found.configs[f"*/{ANNA}"].variables == {"who_First name": "Anna"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "[callers] belongs_to: is missing; shared = true would tell every contact to every"),
        ("belongs_to='C'\nshared=true", "[callers] shared: can't be together with belongs_to."),
        (
            "belongs_too='C'",
            "[callers] belongs_too: is not a known word (did you mean belongs_to?)",
        ),
    ],
)
def test_whose_contacts_they_are_has_to_be_said(words: str, message: str) -> None:
    with pytest.raises(MappingError) as caught:
        parse_mapping(CALLERS + words, "x")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("belongs_to", "clause"),
    [
        ("Name", "People.Name is no link to other records (belongs_to)"),
        ("Team", "People.Team links to Teams, which no number's config is made of (belongs_to)"),
        ("Nobody", "People has no field Nobody"),
    ],
)
def test_what_the_base_does_not_have_is_named(belongs_to: str, clause: str) -> None:
    text = f"{NUMBERS}[callers]\ntable='People'\nnumber_field='Name'\nbelongs_to='{belongs_to}'"
    assert missing_in_base(parse_mapping(text, "x"), TABLES) == [clause]
