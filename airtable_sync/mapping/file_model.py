"""The mapping file's words: one class for each kind of section. The messages about mistakes, the
JSON Schema for editors and the table in docs/reference/mapping.md are made from these classes."""

import difflib
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

import phonenumbers
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    model_validator,
)

from airtable_sync.mapping.item_text import ItemText
from airtable_sync.mapping.more_mistakes import Mistake, with_more_mistakes
from airtable_sync.mapping.settings import SETTINGS
from airtable_sync.mapping.text_format import known_locale, known_time_zone

Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=1000)]


def _country(text: str) -> str:
    if text.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError('is not a country code of two letters, such as "BE"')
    return text.upper()


def _settings(names: Any) -> Any:
    for name in names:
        if name not in SETTINGS:
            near = difflib.get_close_matches(name, SETTINGS, 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(SETTINGS)}"
            raise ValueError(f"has {name}, which is not a setting ({hint})")
    return names


def _item(text: str) -> str:
    ItemText.parse(text)
    return text


def _list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class Section(BaseModel):
    """A table, and the use of its fields."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    table: Name = Field(description="the table in Airtable")
    view: Name | None = Field(default=None, description="only the records of this view")
    filter: Text | None = Field(
        default=None, description="only the records for which this Airtable formula is true"
    )
    variables: Literal["*"] | list[Name] | dict[Name, Name] = Field(
        default=[],
        description='`"*"` for every field, a list of fields, or `{ variable = "Field" }`; a link '
        "field gives the names of the linked records",
    )
    except_: list[Name] = Field(
        default=[], alias="except", description='with `"*"`: fields that are not variables'
    )
    rename: dict[Name, Name] = Field(
        default={}, description='with `"*"` or a list: `{ "Field" = "variable" }`'
    )
    prefix: Text = Field(
        default="", description="stands in front of the names of this section's variables"
    )
    settings: (
        Annotated[list[Name], AfterValidator(_settings)]
        | Annotated[dict[Name, Name], AfterValidator(_settings)]
    ) = Field(
        default=[],
        description='settings of the number, which are no variables: `{ agent_id = "Field" }`, or '
        "a list of settings whose fields have the same names and need not exist",
    )
    pairs_field: Name | None = Field(
        default=None, description="a field with text `name = value`, split at the first `=`"
    )
    key_field: Name | None = Field(default=None, description="the field with a variable's name …")
    value_field: Name | None = Field(default=None, description="… and the field with its value")
    item: Annotated[Text, AfterValidator(_item)] | None = Field(
        default=None,
        description='one text for each record, such as `"{Day}: {From} to {To}"`; all of '
        "them joined become …",
    )
    variable: Name | None = Field(default=None, description="… this variable")
    links: "dict[Name, LinkedSection]" = Field(
        default={}, description="sections of linked tables, by the link field of this one"
    )

    @model_validator(mode="wrap")
    @classmethod
    def _words_fit_together(cls, data: Any, check: ModelWrapValidatorHandler[Self]) -> Self:
        """Together with the other mistakes: all are told at once."""
        return with_more_mistakes(data, check, cls.missing_words)

    @staticmethod
    def missing_words(words: dict[str, Any]) -> Iterator[Mistake]:
        """Words that need another one, and what is wrong."""
        variables = words.get("variables")
        if words.get("except") and variables != "*":
            yield "except", 'needs variables = "*"'
        if words.get("rename") and isinstance(variables, dict):
            yield "rename", 'needs variables = "*" or a list'
        for one, other in (("item", "variable"), ("key_field", "value_field")):
            if words.get(one) and not words.get(other):
                yield one, f"needs {other}"
            if words.get(other) and not words.get(one):
                yield other, f"needs {one}"
        if words.get("pairs_field") and words.get("key_field"):
            yield "pairs_field", "can't be together with key_field"


class LinkedSection(Section):
    """A table that a link field of the section above leads to."""

    many: bool = Field(
        default=False,
        description="`true` uses all linked records, in the order of the cell; otherwise Siftly "
        "uses the first and reports the others",
    )
    sort: list[Name] = Field(
        default=[], description="the order of the linked records: by these fields"
    )
    separator: Text = Field(
        default=", ", description="joins the values of several records in the same variable"
    )
    required: bool = Field(
        default=False, description="`true` leaves out a number without this link, and reports it"
    )


class NumbersSection(Section):
    """A table with called numbers."""

    number_field: Name | None = Field(default=None, description="the field with the called number")
    number_fields: list[Name] = Field(
        default=[], description="instead of `number_field`: several fields with called numbers"
    )
    several_per_cell: bool = Field(
        default=False,
        description="`true`: every number in the cell is a called number (lines, commas, "
        "semicolons, a lookup's list)",
    )
    region: Annotated[str, AfterValidator(_country)] | None = Field(
        default=None, description="the country (two letters) of numbers without a country code"
    )

    @staticmethod
    def missing_words(words: dict[str, Any]) -> Iterator[Mistake]:
        yield from Section.missing_words(words)
        if not words.get("number_field") and not words.get("number_fields"):
            yield "number_field", "is missing"
        if words.get("number_field") and words.get("number_fields"):
            yield "number_fields", "can't be together with number_field"


class CallersSection(NumbersSection):
    """The table with the contacts: who is calling?"""

    prefix: Text = Field(
        default="caller_", description="stands in front of the names of this section's variables"
    )
    belongs_to: Name | None = Field(
        default=None,
        description="the link field that says whose contact it is: only calls to numbers whose "
        "config is made from the linked record get it",
    )
    shared: bool = Field(
        default=False, description="instead of `belongs_to`: `true` gives the contacts to all calls"
    )

    @staticmethod
    def missing_words(words: dict[str, Any]) -> Iterator[Mistake]:
        yield from NumbersSection.missing_words(words)
        if not words.get("belongs_to") and not words.get("shared"):
            yield "belongs_to", "is missing; shared = true would tell every contact to every call"
        if words.get("belongs_to") and words.get("shared"):
            yield "shared", "can't be together with belongs_to"


class FormatSection(BaseModel):
    """How values and the names of variables are written."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    locale: Annotated[str, AfterValidator(known_locale)] | None = Field(
        default=None,
        description='how numbers, money and dates are written, such as `"nl-BE"`; without it: '
        "`29.99`, `2026-11-26`",
    )
    time_zone: Annotated[str, AfterValidator(known_time_zone)] | None = Field(
        default=None, description="for times; without it the field's own in Airtable, then UTC"
    )
    names: Literal["snake_case"] | None = Field(
        default=None,
        description="the variable of `Customer Name` is `customer_name`; without it as written",
    )
    checkbox: Annotated[list[Text], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="the texts of a ticked and an unticked box; else `true`, `false`"
    )


class MappingFile(BaseModel):
    """Which tables and fields of an Airtable base make a customer's config."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, title="Siftly's mapping")

    format: FormatSection = Field(
        default=FormatSection(), description="how values and names are written"
    )
    defaults: dict[Name, Text] = Field(
        default={}, description="where a variable is missing or empty, and for unknown numbers"
    )
    numbers: Annotated[
        list[NumbersSection],
        Field(min_length=1),
        BeforeValidator(_list, json_schema_input_type=NumbersSection | list[NumbersSection]),
    ] = Field(description="the table with the called numbers; `[[numbers]]` for several")
    callers: CallersSection | None = Field(
        default=None, description="the table with the contacts: who is calling?"
    )
