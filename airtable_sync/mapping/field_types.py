"""A field's type and options in Airtable's schema:
https://airtable.com/developers/web/api/field-model"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LINK = "multipleRecordLinks"
LOOKUPS = frozenset({"multipleLookupValues", "lookup"})
TIME_TYPES = frozenset({"dateTime", "createdTime", "lastModifiedTime"})
TEXT_TYPES = frozenset(
    {"singleLineText", "multilineText", "richText", "email", "url", "phoneNumber"}
)
# Their cells show values of another type, which is the option `result`.
WITH_RESULT = LOOKUPS | {"formula", "rollup", "createdTime", "lastModifiedTime"}
_USER = ("name", "email")
# Their values are objects. People see the first of these parts that is not empty.
OBJECT_PARTS = {
    "singleCollaborator": _USER,
    "multipleCollaborators": _USER,
    "createdBy": _USER,
    "lastModifiedBy": _USER,
    "multipleAttachments": ("filename",),
    "barcode": ("text",),
    "button": ("label",),
    "aiText": ("value",),
    "externalSyncSource": ("name",),
    "singleSelect": ("name",),
    "multipleSelects": ("name",),
}
# Airtable's own results are one level deep, or two for a lookup of a lookup.
MAX_RESULTS = 4
MAX_PRECISION = 20  # Airtable's own is 8 at most


@dataclass(frozen=True, slots=True)
class FieldType:
    """A type such as "currency", with the options that decide how its cells look."""

    type: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def from_schema(cls, raw: Any) -> "FieldType | None":
        """From a field of the schema, or a `result` in its options. None if it has no type. An
        option that is not as documented is left out."""
        return _read(raw, MAX_RESULTS)

    @classmethod
    def from_json(cls, raw: Any) -> "FieldType | None":
        """From what `to_json` returned; None if it is something else."""
        return _read({"type": raw} if isinstance(raw, str) else raw, MAX_RESULTS)

    def to_json(self) -> Any:
        """The type's name alone, where there are no options."""
        return {"type": self.type, "options": dict(self.options)} if self.options else self.type

    @property
    def shown(self) -> "FieldType":
        """The type of the values in the cell: of a formula, rollup or lookup its result's."""
        result = FieldType.from_json(self.options.get("result"))
        return result.shown if result and self.type in WITH_RESULT else self

    @property
    def is_link(self) -> bool:
        return self.type == LINK

    @property
    def is_lookup_of_links(self) -> bool:
        """Whether a lookup, rollup or formula has the ids of linked records as its value."""
        return self.type != LINK and self.shown.type == LINK

    @property
    def is_unticked_if_empty(self) -> bool:
        """Airtable leaves unticked checkboxes out. An empty lookup of checkboxes is empty."""
        return self.shown.type == "checkbox" and self.type not in LOOKUPS

    @property
    def linked_table_id(self) -> str | None:
        """The table that the link leads to, also of a lookup of links."""
        table: str | None = self.shown.options.get("linkedTableId")
        return table

    @property
    def choices(self) -> list[str]:
        """The names of a select's options, in their order."""
        return list(self.options.get("choices", ()))


def _read(raw: Any, results: int) -> FieldType | None:
    """`results` is how many levels of `result` may follow."""
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        return None
    given = raw.get("options")
    options = _options(given, results) if isinstance(given, dict) else {}
    return FieldType(_valid(raw["type"]), options)


def _options(given: dict[Any, Any], results: int) -> dict[str, Any]:
    found = {name: read(given[name]) for name, read in _OPTIONS.items() if name in given}
    if results and (result := given.get("result")):
        result = {"type": result} if isinstance(result, str) else result
        field_type = _read(result, results - 1)
        found["result"] = field_type.to_json() if field_type else None
    return {name: value for name, value in found.items() if value is not None}


def _valid(text: str) -> str:
    """Half an emoji is not valid UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _text(value: Any) -> str | None:
    return _valid(value) if isinstance(value, str) else None


def _precision(value: Any) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= MAX_PRECISION else None


def _choices(value: Any) -> list[str] | None:
    """The names. The schema has `{"id": …, "name": …, "color": …}`."""
    if not isinstance(value, list):
        return None
    names = [each.get("name") if isinstance(each, dict) else each for each in value]
    return [_valid(name) for name in names if isinstance(name, str)]


_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "precision": _precision,
    "symbol": _text,
    "durationFormat": _text,
    "timeZone": _text,
    "choices": _choices,
    "linkedTableId": _text,
}
