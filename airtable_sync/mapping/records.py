"""What the Airtable API returns: https://airtable.com/developers/web/api/list-records"""

from dataclasses import dataclass
from typing import Any, TypedDict


class Record(TypedDict):
    id: str
    createdTime: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class BaseTables:
    """The schema of a base: https://airtable.com/developers/web/api/get-base-schema"""

    fields: dict[str, list[str]]  # table name -> field names
    ids: dict[str, str]  # table name -> table id
    field_names: dict[str, dict[str, str]]  # table id -> field id -> field name
