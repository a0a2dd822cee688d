"""Lists records: chooses and sorts them, and returns one page.

https://airtable.com/developers/web/api/list-records
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sandbox.airtable.api.iterators import RecordIterator, RecordIterators
from sandbox.airtable.api.parameters import integer, text
from sandbox.airtable.api.presentation import Presentation
from sandbox.airtable.common.errors import invalid_request, unknown_view
from sandbox.airtable.data.record_values import RecordValues
from sandbox.airtable.data.records import Record
from sandbox.airtable.data.schema import Field, View
from sandbox.airtable.data.tables import Table
from sandbox.airtable.formulas.compiler import compile_formula
from sandbox.airtable.formulas.values import Value, scalar, truthy

MAX_PAGE_SIZE = 100


def list_records(
    table: Table, parameters: dict[str, Any], iterators: RecordIterators
) -> dict[str, Any]:
    """One page. The first page fixes the records and their order. The values are current."""
    presentation = Presentation.of(table, parameters)
    size = _page_size(parameters)
    offset = text(parameters, "offset")
    if offset:
        iterator, start = iterators.resume(table.id, offset)
    else:
        iterator, start = iterators.begin(table.id, select(table, parameters)), 0
    records = _existing_records(table, iterator, start, size)
    page: dict[str, Any] = {"records": [presentation.to_json(table, each) for each in records]}
    if start + size < len(iterator.record_ids):
        number = iterators.page_number(offset) or 1
        page["offset"] = iterators.offset(iterator, start + size, number + 1)
    return page


def select(table: Table, parameters: dict[str, Any]) -> list[str]:
    """The ids of the records to list, in order."""
    view = _view(table, text(parameters, "view"))
    records = [RecordValues(table, record) for record in table.records.values()]
    for formula in (view.formula, text(parameters, "filterByFormula")):
        if formula:
            evaluate = compile_formula(formula, table.fields)
            records = [each for each in records if truthy(evaluate(each))]
    for field, is_descending in reversed(_order(table, parameters, view)):
        records = _sorted(records, field, is_descending=is_descending)
    return [each.id for each in records][: integer(parameters, "maxRecords", None)]


def _sorted(
    records: list[RecordValues], field: Field, *, is_descending: bool
) -> list[RecordValues]:
    return sorted(records, key=lambda each: _sort_key(each.value(field)), reverse=is_descending)


def _existing_records(
    table: Table, iterator: RecordIterator, start: int, size: int
) -> Iterable[Record]:
    """Without records that were deleted since the first page."""
    ids = iterator.record_ids[start : start + size]
    return [table.records[record_id] for record_id in ids if record_id in table.records]


def _page_size(parameters: dict[str, Any]) -> int:
    size = integer(parameters, "pageSize", MAX_PAGE_SIZE) or MAX_PAGE_SIZE
    if size > MAX_PAGE_SIZE:
        raise invalid_request()
    return size


def _view(table: Table, name: str) -> View:
    """Without a name: a view of all records, in the order of creation."""
    if not name:
        return View()
    for view in table.views:
        if view.matches(name):
            return view
    raise unknown_view(name)


def _order(table: Table, parameters: dict[str, Any], view: View) -> list[tuple[Field, bool]]:
    sort = parameters.get("sort")
    if sort is None:
        return [(table.field(name), direction == "desc") for name, direction in view.sort]
    if not isinstance(sort, list):
        raise invalid_request()
    return [_sort_item(table, item) for item in sort]


def _sort_item(table: Table, item: Any) -> tuple[Field, bool]:
    if not isinstance(item, dict) or not isinstance(item.get("field"), str):
        raise invalid_request()
    direction = item.get("direction", "asc")
    if direction not in ("asc", "desc"):
        raise invalid_request()
    return table.field(item["field"]), direction == "desc"


def _sort_key(value: Value) -> tuple[int, float, str]:
    """Empty first, then numbers, dates, text. Ignores case."""
    value = scalar(value)
    if value is None or value == "":
        return 0, 0.0, ""
    if isinstance(value, int | float):
        return 1, float(value), ""
    if isinstance(value, datetime):
        return 2, value.timestamp(), ""
    return 3, 0.0, str(value).casefold()
