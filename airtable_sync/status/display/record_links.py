"""Records as people find them in Airtable: https://support.airtable.com/docs/finding-airtable-ids"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True)
class RecordLink:
    record: str  # table/rec…
    url: str  # empty where the table's id is not known


def link(record: str, table_ids: Mapping[str, str]) -> RecordLink:
    table, _, record_id = record.rpartition("/")
    base = settings.AIRTABLE_BASE_ID
    known = base and table in table_ids and record_id.isalnum()
    url = f"https://airtable.com/{base}/{table_ids[table]}/{record_id}" if known else ""
    return RecordLink(record, url)
