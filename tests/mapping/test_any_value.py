"""Whatever JSON a cell has: it becomes text, and has a place in the order."""

import json
import re
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from airtable_sync.mapping.field_types import FieldType
from airtable_sync.mapping.formatting import Formatter, problem_of
from airtable_sync.mapping.text_format import TextFormat
from tests.mapping.test_values import AIRTABLES_TYPES, BRUSSELS, RECORD, ROWS, TIME

RECORD_ID = re.compile("rec[A-Za-z0-9]{14}")
FORMATTERS = [Formatter(TextFormat()), Formatter(TextFormat("nl-BE", BRUSSELS, ("ja", "nee")))]

texts = st.text(st.characters()) | st.sampled_from(
    [RECORD, TIME, "9999-12-31T23:59:59.999Z", "2026-02-31", "\ud83d", "name", "state", "isStale"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
json_values = st.recursive(
    scalars | st.sampled_from([row[2] for row in ROWS] + [10**4000, -1e308]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
types = st.sampled_from([*AIRTABLES_TYPES, "aTypeOfTomorrow"])
option_names = st.sampled_from(
    ["precision", "symbol", "durationFormat", "timeZone", "choices", "linkedTableId", "result"]
)
schema_options = st.sampled_from([row[1] for row in ROWS]) | st.dictionaries(
    option_names, json_values, max_size=4
)
fields = st.builds(lambda name, options: {"type": name, "options": options}, types, schema_options)


@given(fields, json_values, st.sampled_from(FORMATTERS))
@example({"type": "duration"}, 1e308, FORMATTERS[0])
@example({"type": "number"}, json.loads("[" * 99 + "]" * 99), FORMATTERS[0])
def test_any_value_of_any_field_becomes_trimmed_text(
    raw: dict[str, Any], cell: Any, formatter: Formatter
) -> None:
    for field in (FieldType.from_schema(raw), None):
        text = formatter.for_field(field)(cell)
        assert text.encode().decode().strip() == text
    problem_of(cell)


@given(json_values)
def test_a_link_never_tells_a_record_id(cell: Any) -> None:
    link = {"type": "multipleRecordLinks"}
    for raw in (link, {"type": "multipleLookupValues", "options": {"result": link}}):
        text = FORMATTERS[0].for_field(FieldType.from_schema(raw))
        assert not RECORD_ID.search(text(cell))
        assert not RECORD_ID.search(text([RECORD, cell]))


@given(st.lists(st.just(RECORD), min_size=1), types)
def test_a_list_of_record_ids_is_told_by_no_type_of_field(ids: list[str], name: str) -> None:
    assert FORMATTERS[0].for_field(FieldType(name))(ids) == ""
    assert FORMATTERS[0].for_field(None)(ids) == ""


@given(st.lists(fields, min_size=1, max_size=3), st.lists(json_values, max_size=6))
def test_all_values_can_be_sorted_together(raws: list[Any], cells: list[Any]) -> None:
    keys = [FORMATTERS[0].sort_key_for(FieldType.from_schema(raw)) for raw in raws]
    sorted(key(cell) for key in keys for cell in cells)


@given(json_values)
def test_a_malformed_schema_has_no_type_and_raises_nothing(raw: Any) -> None:
    assert FieldType.from_schema(raw) is None or isinstance(raw["type"], str)
    assert FieldType.from_json(raw) is None or isinstance(raw, str) or isinstance(raw["type"], str)


@given(fields)
def test_a_field_type_is_the_same_after_it_was_stored_as_json(raw: dict[str, Any]) -> None:
    field = FieldType.from_schema(raw)
    assert field
    assert FieldType.from_json(json.loads(json.dumps(field.to_json()))) == field
