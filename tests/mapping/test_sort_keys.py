"""The order of a field's values."""

from typing import Any

import pytest

from airtable_sync.mapping.field_types import FieldType
from airtable_sync.mapping.formatting import Formatter
from airtable_sync.mapping.text_format import TextFormat

WEEKDAYS = {"choices": [{"name": "Monday"}, {"name": "Tuesday"}, {"name": "Friday"}]}
NUMBER = {"type": "number", "options": {"precision": 0}}


@pytest.mark.parametrize(
    ("field", "cells"),
    [
        (NUMBER, [-1, 2.5, 10, "text", None]),
        ({"type": "multipleLookupValues", "options": {"result": NUMBER}}, [[2], [2, 3], [10], []]),
        ({"type": "singleSelect", "options": WEEKDAYS}, ["Monday", "Friday", "Deleted", None]),
        ({"type": "multipleSelects", "options": WEEKDAYS}, [["Monday", "Friday"], ["Tuesday"]]),
        ({"type": "date"}, ["2026-01-31", "2026-11-26", "soon", None]),
        ({"type": "dateTime"}, ["2026-11-26T14:00:00.000Z", "2026-11-26T14:00:01.000Z", ""]),
        ({"type": "singleLineText"}, ["anna", "Bob", "chris", "Émile", "", "  ", None]),
        ({"type": "checkbox"}, [None, True]),
        (
            {"type": "singleCollaborator"},
            [{"name": "Ann"}, {"email": "bob@x.test"}, {"id": "usr1"}],
        ),
        (None, [False, True, 7.5, "2026-11-26T14:00:00.000Z", "a", "B", float("nan")]),
    ],
)
def test_values_are_in_the_order_that_people_expect(field: Any, cells: list[Any]) -> None:
    key = Formatter(TextFormat("nl-BE")).sort_key_for(FieldType.from_schema(field))
    keys = [key(cell) for cell in cells]
    assert sorted(keys) == keys
    assert len(set(keys)) > 1
