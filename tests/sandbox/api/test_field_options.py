"""The options of fields in the schema, with pyairtable's models of all field types as the judge."""

from typing import Any

import pytest
from pyairtable.models import schema
from pyairtable.models.schema import FieldSchema, UnknownFieldConfig, parse_field_schema

from sandbox.airtable.api.field_options import field_options
from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table

DATE = {"dateFormat": {"name": "european", "format": "D/M/YYYY"}}
TIME = {"timeFormat": {"name": "24hour", "format": "HH:mm"}, "timeZone": "Europe/Brussels"}
CHOICES = {"choices": [{"name": "Gold", "color": "yellowBright"}, {"name": "Tin"}]}
STYLE = {"icon": "star", "color": "redBright"}
THROUGH_LINK = {"recordLinkFieldId": "Clients", "fieldIdInLinkedTable": "Rate"}
OPTIONS: dict[str, dict[str, Any]] = {
    "aiText": {"prompt": ["Sum up ", {"field": {"fieldId": "fldNotes000000000"}}]}
    | {"referencedFieldIds": ["fldNotes000000000"]},
    "checkbox": STYLE,
    "count": {"recordLinkFieldId": "Clients"},
    "createdTime": {"result": {"type": "dateTime", "options": DATE | TIME}},
    "currency": {"precision": 2, "symbol": "€"},
    "date": DATE,
    "dateTime": DATE | TIME,
    "duration": {"durationFormat": "h:mm"},
    "externalSyncSource": CHOICES,
    "formula": {"formula": "{Name} & Number & '{Name}'", "result": {"type": "singleLineText"}},
    "lastModifiedTime": {"referencedFieldIds": ["Name"]}
    | {"result": {"type": "date", "options": DATE}},
    "multipleAttachments": {"isReversed": False},
    "multipleLookupValues": THROUGH_LINK,
    "multipleSelects": CHOICES,
    "number": {"precision": 1},
    "percent": {"precision": 1},
    "rating": STYLE | {"max": 5},
    "rollup": THROUGH_LINK
    | {"referencedFieldIds": [], "result": {"type": "number", "options": {"precision": 0}}},
    "singleSelect": CHOICES,
}
NAMING_FIELDS = {"count", "formula", "lastModifiedTime", "multipleLookupValues", "rollup"}
"""The schema names the fields by id, whatever the options here name them by."""
DOCUMENTED = sorted({each.value for each in schema.FieldType} - {"manualSort"})


def table_with(*fields: Field) -> Table:
    clients = Table("Clients", [Field("Name"), Field("Rate", "percent", options={"precision": 1})])
    link = Field("Clients", "multipleRecordLinks", links_to="Clients")
    lines = Table("Lines", [Field("Name"), Field("Number", "number"), link, *fields])
    return Base("appOptions0000000", "", [lines, clients]).table("Lines")


def options_of(field: Field) -> dict[str, Any]:
    return field_options(table_with(field), field)


def parsed(field: Field) -> FieldSchema:
    answer: dict[str, Any] = {"id": field.id, "name": field.name, "type": field.type}
    if options := options_of(field):
        answer["options"] = options
    return parse_field_schema(answer)


@pytest.mark.parametrize("kind", DOCUMENTED)
def test_each_field_type_of_airtable_has_its_options(kind: str) -> None:
    field = Field("Field", kind, options=OPTIONS.get(kind, {}))
    if kind == "multipleRecordLinks":
        field.links_to = "Clients"
    assert not isinstance(parsed(field), UnknownFieldConfig)


@pytest.mark.parametrize("kind", sorted(OPTIONS.keys() - NAMING_FIELDS))
def test_the_options_that_a_person_chose_are_unchanged(kind: str) -> None:
    given = OPTIONS[kind] | ({"choices": []} if "choices" in OPTIONS[kind] else {})
    assert options_of(Field("Field", kind, options=given)) == given


def test_choices_have_ids_and_keep_their_order_and_colour() -> None:
    gold, tin = options_of(Field("Plan", "singleSelect", options=CHOICES))["choices"]
    assert gold == {"id": gold["id"], "name": "Gold", "color": "yellowBright"}
    assert gold["id"].startswith("sel")
    assert tin["name"] == "Tin"
    assert tin["id"] != gold["id"]


def test_a_formula_names_fields_by_id_and_leaves_text_as_it_is() -> None:
    field = Field("Both", "formula", options=OPTIONS["formula"])
    table = table_with(field)
    name, number = (table.field(each).id for each in ("Name", "Number"))
    options = field_options(table, field)
    assert options["formula"] == f"{{{name}}} & {{{number}}} & '{{Name}}'"
    assert options["referencedFieldIds"] == [name, number]
    assert options["result"] == {"type": "singleLineText"}


@pytest.mark.parametrize("formula", ["{Removed} & 'x'", "{Name} &", "(("])
def test_a_formula_that_names_a_missing_field_or_is_broken_is_invalid(formula: str) -> None:
    options = {"formula": formula, "result": {"type": "singleLineText"}}
    answer = options_of(Field("Broken", "formula", options=options))
    assert (answer["isValid"], answer["result"]) == (False, None)


def test_a_lookup_has_the_type_and_options_of_the_field_that_it_shows() -> None:
    field = Field("Rates", "multipleLookupValues", options=THROUGH_LINK)
    table = table_with(field)
    clients = table.base.table("Clients")
    assert field_options(table, field) == {
        "isValid": True,
        "recordLinkFieldId": table.field("Clients").id,
        "fieldIdInLinkedTable": clients.field("Rate").id,
        "result": {"type": "percent", "options": {"precision": 1}},
    }


def test_a_lookup_of_a_removed_field_is_invalid() -> None:
    field = Field("Rates", "multipleLookupValues", options=THROUGH_LINK)
    table = table_with(field)
    table.base.table("Clients").remove_field("Rate")
    options = field_options(table, field)
    assert (options["isValid"], options["result"]) == (False, None)


def test_lookups_that_show_each_other_end() -> None:
    circle = {"recordLinkFieldId": "Lines", "fieldIdInLinkedTable": "Circle"}
    field = Field("Circle", "multipleLookupValues", options=circle)
    table = table_with(Field("Lines", "multipleRecordLinks", links_to="Lines"), field)
    assert field_options(table, field)["isValid"] is True
