"""Field types from Airtable's schema, and the words of the mapping's section [format]."""

from collections.abc import Callable
from typing import Any

import pytest

from airtable_sync.mapping.field_types import FieldType
from airtable_sync.mapping.text_format import known_locale, known_time_zone

LINK = {"type": "multipleRecordLinks", "options": {"linkedTableId": "tbl1", "isReversed": False}}
LOOKUP = {"type": "multipleLookupValues", "options": {"fieldIdInLinkedTable": "f", "result": LINK}}


def field_type(raw: Any) -> FieldType:
    found = FieldType.from_schema(raw)
    assert found
    return found


def test_only_the_options_that_matter_are_stored() -> None:
    raw = {
        "id": "fld1",
        "name": "Price",
        "type": "formula",
        "options": {
            "formula": "{fld2} * 2",
            "referencedFieldIds": ["fld2"],
            "result": {"type": "currency", "options": {"precision": 2, "symbol": "€", "x": 1}},
        },
    }
    assert field_type(raw).to_json() == {
        "type": "formula",
        "options": {"result": {"type": "currency", "options": {"precision": 2, "symbol": "€"}}},
    }
    assert field_type({"type": "date", "options": {"dateFormat": {}}}).to_json() == "date"


def test_the_choices_of_a_select_are_their_names_in_order() -> None:
    raw = {"choices": [{"id": "s2", "name": "b"}, {"id": "s1", "name": "a", "color": "x"}]}
    assert field_type({"type": "singleSelect", "options": raw}).choices == ["b", "a"]


@pytest.mark.parametrize(
    ("raw", "is_link", "is_lookup"),
    [
        (LINK, True, False),
        (LOOKUP, False, True),
        ({"type": "multipleLookupValues", "options": {"result": LOOKUP}}, False, True),
        ({"type": "rollup", "options": {"result": LINK}}, False, True),
        ({"type": "formula", "options": {"result": LINK}}, False, True),
    ],
)
def test_links_and_lookups_of_links_know_their_table(
    raw: Any, is_link: bool, is_lookup: bool
) -> None:
    found = field_type(raw)
    assert (found.is_link, found.is_lookup_of_links) == (is_link, is_lookup)
    assert found.linked_table_id == "tbl1"


def test_a_field_of_another_type_is_neither_a_link_nor_a_lookup_of_links() -> None:
    found = field_type({"type": "multipleAttachments"})
    assert not found.is_link
    assert not found.is_lookup_of_links
    assert found.linked_table_id is None


@pytest.mark.parametrize("raw", [None, [], "number", {}, {"type": 5}, {"type": None}])
def test_a_field_without_a_type_is_none(raw: Any) -> None:
    assert FieldType.from_schema(raw) is None


@pytest.mark.parametrize("options", [None, [], {"precision": "2"}, {"precision": True}])
def test_options_that_are_malformed_are_left_out(options: Any) -> None:
    assert field_type({"type": "number", "options": options}) == FieldType("number")


def test_results_that_are_nested_without_end_are_cut() -> None:
    raw: dict[str, Any] = {"type": "formula"}
    for _ in range(900):
        raw = {"type": "formula", "options": {"result": raw}}
    assert field_type(raw).shown.type == "formula"


@pytest.mark.parametrize("locale", ["nl-BE", "nl_BE", "nl-be"])
def test_a_locale_is_known_in_each_spelling(locale: str) -> None:
    assert known_locale(locale) == "nl_BE"


def test_a_time_zone_is_known_by_its_iana_name() -> None:
    assert known_time_zone("Europe/Brussels") == "Europe/Brussels"


@pytest.mark.parametrize(
    ("check", "example"),
    [
        (known_locale, "a known locale, such as .nl-BE"),
        (known_time_zone, "a known time zone, such"),
    ],
)
@pytest.mark.parametrize("text", ["", "nl-XX", "xx", "Brussels", "Europe", "../x", "\ud83d", "\0"])
def test_other_names_are_an_error_with_an_example(
    check: Callable[[str], str], example: str, text: str
) -> None:
    with pytest.raises(ValueError, match=f"^is not {example}"):
        check(text)
