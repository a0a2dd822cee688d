"""Tables and fields whose ids are the same in every run."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from sandbox.airtable.common.ids import stable_id
from sandbox.airtable.data.schema import LINK, Field, View
from sandbox.airtable.data.tables import Table


def make_table(
    name: str, fields: Iterable[Field], filters: Mapping[str, str] = MappingProxyType({})
) -> Table:
    """A table with a view of all records, and one for each of `filters`: the view's name and its
    formula."""
    views = [View(id=stable_id("viw", f"{name}/Grid view"))]
    views += [
        View(view, id=stable_id("viw", f"{name}/{view}"), formula=formula)
        for view, formula in filters.items()
    ]
    return Table(name, fields, id=stable_id("tbl", name), views=views)


def make_field(
    table: str, name: str, kind: str = "singleLineText", options: dict[str, Any] | None = None
) -> Field:
    return Field(name, kind, stable_id("fld", f"{table}/{name}"), options or {})


def make_link(table: str, name: str, to: str, *, inverse: str = "", single: bool = True) -> Field:
    options = {"prefersSingleRecordLink": single}
    return Field(name, LINK, stable_id("fld", f"{table}/{name}"), options, to, inverse)


def make_choices(names: Iterable[str]) -> dict[str, Any]:
    return {"choices": [{"id": stable_id("sel", name), "name": name} for name in names]}
