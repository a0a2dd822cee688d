"""The mapping file's words: one class for each kind of section. The messages about mistakes, the
JSON Schema for editors and the table in docs/mapping.md are made from these classes."""

from typing import Annotated, Literal

import phonenumbers
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=200)]


def _country(text: str) -> str:
    if text.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError('is not a country code of two letters, such as "BE"')
    return text.upper()


class Section(BaseModel):
    """A table, and the use of its fields."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    table: Name = Field(description="the table's name in Airtable")
    variables: Literal["*"] | list[Name] = Field(
        default=[], description='`"*"` for every field, or a list of fields'
    )
    except_: list[Name] = Field(
        default=[], alias="except", description='with `"*"`: fields that are not variables'
    )
    settings: list[Name] = Field(
        default=[],
        description="fields that are settings of the number, not variables: `preferred_agent_id` "
        "(Retell's `override_agent_id`, Vapi's `assistantId`), `twilio_connect_url`; these fields "
        "need not exist",
    )
    pairs_field: Name | None = Field(
        default=None, description="a field with text `name = value`, split at the first `=`"
    )
    links: "dict[Name, LinkedSection]" = Field(
        default={}, description="sections of linked tables, by the link field of this one"
    )


class LinkedSection(Section):
    """A table that a link field of the section above leads to."""

    many: bool = Field(
        default=False,
        description="`true` uses all linked records; otherwise Siftly uses the first and reports "
        "the others",
    )
    required: bool = Field(
        default=False, description="`true` leaves out a number without this link, and reports it"
    )


class NumbersSection(Section):
    """The table with the called numbers."""

    number_field: Name = Field(description="the field with the called number")
    region: Annotated[str, AfterValidator(_country)] | None = Field(
        default=None, description="the country (two letters) of numbers without a country code"
    )


class MappingFile(BaseModel):
    """Which tables and fields of an Airtable base make a customer's config."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, title="Siftly's mapping")

    numbers: NumbersSection = Field(description="the table with the called numbers")
