"""Fields and views of a table."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.airtable.common.ids import new_id

COMPUTED_TYPES = frozenset(
    {
        "aiText",
        "autoNumber",
        "button",
        "count",
        "createdBy",
        "createdTime",
        "externalSyncSource",
        "formula",
        "lastModifiedBy",
        "lastModifiedTime",
        "multipleLookupValues",
        "rollup",
    }
)
LINK = "multipleRecordLinks"


@dataclass
class Field:
    name: str
    type: str = "singleLineText"
    id: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    """In Airtable's words: https://airtable.com/developers/web/api/field-model. They may name
    fields by name or by id."""
    links_to: str = ""
    """Of a link field: the linked table."""
    inverse: str = ""
    """Of a link field: the field of the linked table that shows the same links."""
    description: str = ""

    def __post_init__(self) -> None:
        self.id = self.id or new_id("fld")

    @property
    def is_computed(self) -> bool:
        return self.type in COMPUTED_TYPES

    def matches(self, name_or_id: str) -> bool:
        return name_or_id in (self.name, self.id)


@dataclass
class View:
    """The records for which the formula is true, in the order of `sort`."""

    name: str = "Grid view"
    type: str = "grid"
    id: str = ""
    formula: str = ""
    sort: tuple[tuple[str, str], ...] = ()
    """Pairs of a field and "asc" or "desc"."""
    hidden_fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.id = self.id or new_id("viw")

    def matches(self, name_or_id: str) -> bool:
        return name_or_id in (self.name, self.id)
