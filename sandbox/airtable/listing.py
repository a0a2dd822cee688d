"""List records: which of them, in which order, and page by page.

https://airtable.com/developers/web/api/list-records
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sandbox.airtable.bases import Record, Table, View
from sandbox.airtable.errors import invalid_request, unknown_view
from sandbox.airtable.formula import compile_formula
from sandbox.airtable.formula_values import Value, scalar, truthy
from sandbox.airtable.iterators import RecordIterator, RecordIterators
from sandbox.airtable.parameters import integer, text
from sandbox.airtable.presentation import Presentation
from sandbox.airtable.rows import Row
from sandbox.airtable.schema import Field

LARGEST_PAGE = 100


def list_records(
    table: Table, parameters: dict[str, Any], iterators: RecordIterators
) -> dict[str, Any]:
    """One page. Order and choice are those of the first page, values those of now."""
    presentation = Presentation.of(table, parameters)
    size = _page_size(parameters)
    offset = text(parameters, "offset")
    if offset:
        iterator, start = iterators.resume(table.id, offset)
    else:
        iterator, start = iterators.begin(table.id, select(table, parameters)), 0
    records = _present_of(table, iterator, start, size)
    page: dict[str, Any] = {"records": [presentation.record(table, each) for each in records]}
    if start + size < len(iterator.record_ids):
        number = iterators.page_number(offset) or 1
        page["offset"] = iterators.offset(iterator, start + size, number + 1)
    return page


def select(table: Table, parameters: dict[str, Any]) -> list[str]:
    """The ids a sweep goes through."""
    view = _view(table, text(parameters, "view"))
    rows = [Row(table, record) for record in table.records.values()]
    for formula in (view.formula, text(parameters, "filterByFormula")):
        if formula:
            evaluate = compile_formula(formula, table.fields)
            rows = [row for row in rows if truthy(evaluate(row))]
    for field, descending in reversed(_order(table, parameters, view)):
        rows.sort(key=lambda row, by=field: _sort_key(row.value(by)), reverse=descending)  # type: ignore[misc]
    return [row.id for row in rows][: integer(parameters, "maxRecords", None)]


def _present_of(table: Table, iterator: RecordIterator, start: int, size: int) -> Iterable[Record]:
    """Records deleted since the first page leave a gap."""
    ids = iterator.record_ids[start : start + size]
    return [table.records[record_id] for record_id in ids if record_id in table.records]


def _page_size(parameters: dict[str, Any]) -> int:
    size = integer(parameters, "pageSize", LARGEST_PAGE) or LARGEST_PAGE
    if size > LARGEST_PAGE:
        raise invalid_request()
    return size


def _view(table: Table, name: str) -> View:
    """Without a view: every record, in the order of creation."""
    if not name:
        return View()
    for view in table.views:
        if view.is_called(name):
            return view
    raise unknown_view(name)


def _order(table: Table, parameters: dict[str, Any], view: View) -> list[tuple[Field, bool]]:
    wanted = parameters.get("sort")
    if wanted is None:
        return [(table.field(name), direction == "desc") for name, direction in view.sort]
    if not isinstance(wanted, list):
        raise invalid_request()
    return [_sort_item(table, item) for item in wanted]


def _sort_item(table: Table, item: Any) -> tuple[Field, bool]:
    if not isinstance(item, dict) or not isinstance(item.get("field"), str):
        raise invalid_request()
    direction = item.get("direction", "asc")
    if direction not in ("asc", "desc"):
        raise invalid_request()
    return table.field(item["field"]), direction == "desc"


def _sort_key(value: Value) -> tuple[int, float, str]:
    """Empty first, then numbers, dates, text regardless of case."""
    value = scalar(value)
    if value is None or value == "":
        return 0, 0.0, ""
    if isinstance(value, int | float):
        return 1, float(value), ""
    if isinstance(value, datetime):
        return 2, value.timestamp(), ""
    return 3, 0.0, str(value).casefold()
