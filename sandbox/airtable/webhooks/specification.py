"""Which changes a webhook reports.

https://airtable.com/developers/web/api/model/webhooks-specification
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.airtable.common.errors import invalid_filters, invalid_request, unsupported
from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.tables import Table

DATA, FIELDS, METADATA = "tableData", "tableFields", "tableMetadata"
DATA_TYPES = frozenset({DATA, FIELDS, METADATA})
ADD, REMOVE, UPDATE = "add", "remove", "update"
CHANGE_TYPES = frozenset({ADD, REMOVE, UPDATE})
SOURCES = frozenset(
    {
        "client",
        "publicApi",
        "formSubmission",
        "formPageSubmission",
        "automation",
        "system",
        "sync",
        "anonymousUser",
        "unknown",
    }
)


@dataclass(frozen=True)
class Specification:
    """A webhook's filters and includes. In an optional set, None means all."""

    given: dict[str, Any]
    data_types: frozenset[str]
    change_types: frozenset[str]
    sources: frozenset[str] | None
    scope: str
    """A table's id, or "" for the whole base."""
    watched_data: frozenset[str] | None = None
    watched_schemas: frozenset[str] | None = None
    included_cells: frozenset[str] | Literal["all"] = field(default_factory=frozenset)
    previous_cells: bool = False
    previous_fields: bool = False

    @classmethod
    def parse(cls, given: Any) -> "Specification":
        """Raises AirtableError (422) if it is wrong, 501 if the sandbox does not support it."""
        options = _object(_object(given).get("options"))
        filters, includes = _object(options.get("filters")), _object(options.get("includes", {}))
        if "sourceOptions" in filters:
            raise unsupported("sourceOptions")
        included = includes.get("includeCellValuesInFieldIds")
        return cls(
            given,
            _subset(filters.get("dataTypes"), DATA_TYPES),
            _subset(filters.get("changeTypes") or [*CHANGE_TYPES], CHANGE_TYPES),
            _subset(filters["fromSources"], SOURCES) if filters.get("fromSources") else None,
            _scope(filters.get("recordChangeScope")),
            _ids(filters.get("watchDataInFieldIds")),
            _ids(filters.get("watchSchemasOfFieldIds")),
            "all" if included == "all" else _ids(included) or frozenset(),
            _flag(includes.get("includePreviousCellValues")),
            _flag(includes.get("includePreviousFieldDefinitions")),
        )

    def includes_table(self, table_id: str) -> bool:
        return self.scope in ("", table_id)

    def wants(self, data_type: str, change_type: str) -> bool:
        return data_type in self.data_types and change_type in self.change_types

    def missing(self, base: Base) -> set[str]:
        """The ids of the specification that the base does not have."""
        existing = {table.id for table in base.tables}
        existing |= {each.id for table in self._tables(base) for each in table.fields}
        included = frozenset() if self.included_cells == "all" else self.included_cells
        fields = (self.watched_data or frozenset()) | (self.watched_schemas or frozenset())
        return set(fields | included | ({self.scope} if self.scope else set())) - existing

    def check(self, base: Base) -> None:
        """Raises AirtableError (422) if the base lacks a table or a field of the specification."""
        if missing := self.missing(base):
            raise invalid_filters(f"Not in this base or scope: {', '.join(sorted(missing))}")

    def _tables(self, base: Base) -> list[Table]:
        return [table for table in base.tables if self.includes_table(table.id)]


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid_request()
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise invalid_request()
    return value


def _subset(value: Any, allowed: frozenset[str]) -> frozenset[str]:
    texts = frozenset(_texts(value))
    if not texts or texts - allowed:
        raise invalid_request()
    return texts


def _ids(value: Any) -> frozenset[str] | None:
    """None, which means all, for an empty list and without a list."""
    return frozenset(_texts(value)) or None if value is not None else None


def _scope(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid_request()
    if value.startswith("viw"):
        raise unsupported("a view as recordChangeScope")
    return value


def _flag(value: Any) -> bool:
    if value not in (None, True, False):
        raise invalid_request()
    return bool(value)
