"""A field's options in the schema: those of the field, and those that Airtable adds itself.

https://airtable.com/developers/web/api/field-model
"""

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from sandbox.airtable.common.errors import AirtableError
from sandbox.airtable.data.cells_v2 import choice
from sandbox.airtable.data.record_values import MAX_DEPTH
from sandbox.airtable.data.schema import LINK, Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.formulas.parser import TOKEN, parse

Options: TypeAlias = dict[str, Any]


def field_options(table: Table, field: Field, depth: int = 0) -> Options:
    """`depth` counts the lookups that led to this field."""
    match field.type:
        case "multipleRecordLinks":
            return _link_options(table, field)
        case "singleSelect" | "multipleSelects" | "externalSyncSource":
            return field.options | _choices(field)
        case "formula":
            return field.options | _formula_options(table, field)
        case "count":
            return field.options | _link_of(table, field)
        case "multipleLookupValues":
            return _lookup_result(table, field, depth) | field.options | _looked_up(table, field)
        case "rollup":
            return field.options | _looked_up(table, field) | _references(table, field)
        case "lastModifiedTime":
            return {"isValid": True} | field.options | _references(table, field)
    return field.options


def _link_options(table: Table, field: Field) -> Options:
    other = table.base.table(field.links_to)
    options = {
        "linkedTableId": other.id,
        "isReversed": False,
        "prefersSingleRecordLink": False,
    } | field.options
    if field.inverse:
        options["inverseLinkFieldId"] = other.field(field.inverse).id
    return options


def _choices(field: Field) -> Options:
    names = [each["name"] for each in field.options.get("choices", [])]
    return {"choices": [choice(field, name) for name in names]}


def _formula_options(table: Table, field: Field) -> Options:
    """The formula names fields by their ids."""
    ids = {each.name: each.id for each in table.fields} | {
        each.id: each.id for each in table.fields
    }
    formula = str(field.options.get("formula", ""))
    referenced = _referenced_fields(formula)
    is_valid = _is_formula(formula) and all(name in ids for name in referenced)
    return {
        "formula": _with_ids(formula, ids),
        "isValid": is_valid,
        "referencedFieldIds": list(dict.fromkeys(ids[each] for each in referenced if each in ids)),
        "result": field.options.get("result") if is_valid else None,
    }


def _is_formula(text: str) -> bool:
    try:
        parse(text)
    except AirtableError:
        return False
    return True


def _referenced_fields(formula: str) -> list[str]:
    names = [_field_name(token) for token in TOKEN.finditer(formula)]
    return [name for name in names if name]


def _with_ids(formula: str, ids: Mapping[str, str]) -> str:
    def replace(token: re.Match[str]) -> str:
        name = _field_name(token)
        return f"{{{ids[name]}}}" if name in ids else token[0]

    return TOKEN.sub(replace, formula)


def _field_name(token: re.Match[str]) -> str:
    """The field that a part of a formula names, in braces or without. Empty if it names none."""
    if token.lastgroup == "field":
        return token[0][1:-1].replace(r"\}", "}")
    is_function = token.string[token.end() :].lstrip().startswith("(")
    return token[0] if token.lastgroup == "name" and not is_function else ""


def _link_of(table: Table, field: Field) -> Options:
    link = _find(table, field.options.get("recordLinkFieldId"))
    return {"recordLinkFieldId": link and link.id, "isValid": link is not None}


def _looked_up(table: Table, field: Field) -> Options:
    found = _target(table, field)
    return _link_of(table, field) | {
        "fieldIdInLinkedTable": found and found[1].id,
        "isValid": found is not None,
    }


def _lookup_result(table: Table, field: Field, depth: int) -> Options:
    """The type and the options of the looked-up field."""
    found = _target(table, field)
    if found is None or depth > MAX_DEPTH:
        return {"result": None}
    other, target = found
    options = field_options(other, target, depth + 1)
    return {"result": {"type": target.type} | ({"options": options} if options else {})}


def _target(table: Table, field: Field) -> tuple[Table, Field] | None:
    """The field of the linked table that a lookup or a rollup reads, with its table."""
    link = _find(table, field.options.get("recordLinkFieldId"))
    if link is None or link.type != LINK:
        return None
    other = table.base.table(link.links_to)
    target = _find(other, field.options.get("fieldIdInLinkedTable"))
    return (other, target) if target else None


def _references(table: Table, field: Field) -> Options:
    found = [_find(table, each) for each in field.options.get("referencedFieldIds") or []]
    return {"referencedFieldIds": [each.id for each in found if each]}


def _find(table: Table, name_or_id: str | None) -> Field | None:
    return next((each for each in table.fields if each.matches(name_or_id or "")), None)
