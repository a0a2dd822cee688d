"""Links to records in Airtable: https://support.airtable.com/docs/finding-airtable-ids"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RecordLink:
    record: str  # "table/rec…"
    url: str  # "" if the table's id is unknown

    @property
    def table(self) -> str:
        return self.record.rpartition("/")[0] or self.record


@dataclass(frozen=True)
class RecordLinks:
    base_id: str
    table_ids: Mapping[str, str]  # table name -> table id

    def link(self, record: str) -> RecordLink:
        table, _, record_id = record.rpartition("/")
        has_url = self.base_id and table in self.table_ids and record_id.isalnum()
        path = f"{self.base_id}/{self.table_ids[table]}/{record_id}" if has_url else ""
        return RecordLink(record, f"https://airtable.com/{path}" if path else "")

    def links(self, records: Iterable[str]) -> list[RecordLink]:
        return [self.link(record) for record in records]
