"""Fields and views: what a table is made of besides its records."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.airtable.ids import new_id

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
    """A link names the other table, and the field there that shows the link from its side."""

    name: str
    type: str = "singleLineText"
    id: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    links_to: str = ""
    inverse: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        self.id = self.id or new_id("fld")

    @property
    def computed(self) -> bool:
        return self.type in COMPUTED_TYPES

    def is_called(self, name_or_id: str) -> bool:
        return name_or_id in (self.name, self.id)


@dataclass
class View:
    """Rows limited by a formula, in the order of sort: (field, "asc" or "desc") pairs."""

    name: str = "Grid view"
    type: str = "grid"
    id: str = ""
    formula: str = ""
    sort: tuple[tuple[str, str], ...] = ()
    hidden_fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.id = self.id or new_id("viw")

    def is_called(self, name_or_id: str) -> bool:
        return name_or_id in (self.name, self.id)
