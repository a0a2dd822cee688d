"""Which changes a hook is told.

https://airtable.com/developers/web/api/model/webhooks-specification
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.airtable.bases import Base, Table
from sandbox.airtable.errors import invalid_filters, invalid_request, not_in_the_sandbox

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
    """None stands for all."""

    given: dict[str, Any]
    data_types: frozenset[str]
    change_types: frozenset[str]
    sources: frozenset[str] | None
    scope: str
    """A table's id, or nothing for the whole base."""
    watched_data: frozenset[str] | None = None
    watched_schemas: frozenset[str] | None = None
    included_cells: frozenset[str] | Literal["all"] = field(default_factory=frozenset)
    previous_cells: bool = False
    previous_fields: bool = False

    @classmethod
    def parse(cls, given: Any) -> "Specification":
        options = _object(_object(given).get("options"))
        filters, includes = _object(options.get("filters")), _object(options.get("includes", {}))
        if "sourceOptions" in filters:
            raise not_in_the_sandbox("sourceOptions")
        included = includes.get("includeCellValuesInFieldIds")
        return cls(
            given,
            _known(filters.get("dataTypes"), DATA_TYPES),
            _known(filters.get("changeTypes") or [*CHANGE_TYPES], CHANGE_TYPES),
            _known(filters["fromSources"], SOURCES) if filters.get("fromSources") else None,
            _scope(filters.get("recordChangeScope")),
            _ids(filters.get("watchDataInFieldIds")),
            _ids(filters.get("watchSchemasOfFieldIds")),
            "all" if included == "all" else _ids(included) or frozenset(),
            _flag(includes.get("includePreviousCellValues")),
            _flag(includes.get("includePreviousFieldDefinitions")),
        )

    def covers(self, table_id: str) -> bool:
        return self.scope in ("", table_id)

    def wants(self, data_type: str, change_type: str) -> bool:
        return data_type in self.data_types and change_type in self.change_types

    def missing(self, base: Base) -> set[str]:
        """Tables and fields it names that the base does not have."""
        there = {table.id for table in base.tables}
        there |= {each.id for table in self._tables(base) for each in table.fields}
        included = frozenset() if self.included_cells == "all" else self.included_cells
        fields = (self.watched_data or frozenset()) | (self.watched_schemas or frozenset())
        return set(fields | included | ({self.scope} if self.scope else set())) - there

    def check(self, base: Base) -> None:
        """Raises AirtableError when it names what the base does not have."""
        if missing := self.missing(base):
            raise invalid_filters(f"Not in this base or scope: {', '.join(sorted(missing))}")

    def _tables(self, base: Base) -> list[Table]:
        return [table for table in base.tables if self.covers(table.id)]


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid_request()
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise invalid_request()
    return value


def _known(value: Any, known: frozenset[str]) -> frozenset[str]:
    texts = frozenset(_texts(value))
    if not texts or texts - known:
        raise invalid_request()
    return texts


def _ids(value: Any) -> frozenset[str] | None:
    """An empty list watches everything, as a missing one does."""
    return frozenset(_texts(value)) or None if value is not None else None


def _scope(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid_request()
    if value.startswith("viw"):
        raise not_in_the_sandbox("a view as recordChangeScope")
    return value


def _flag(value: Any) -> bool:
    if value not in (None, True, False):
        raise invalid_request()
    return bool(value)
