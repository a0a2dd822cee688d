"""Reads what a proposal needs of the base: its schema, and samples when they are asked for."""

from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.errors import AccessDenied, AirtableError
from airtable_sync.mapping.records import Record
from airtable_sync.mapping.schema import Source
from airtable_sync.proposal.base import InspectedBase


def read_base(client: AirtableClient) -> InspectedBase:
    """Raises AirtableError and CacheUnavailable, also later, when a sample is read."""

    def read_sample(table: str) -> list[Record]:
        return next(client.pages(Source(table)))

    return InspectedBase(_read_schema(client), read_sample)


def _read_schema(client: AirtableClient) -> object:
    try:
        answer = client.request("GET", f"meta/bases/{client.base_id}/tables")
    except AccessDenied as error:
        hint = "Check that the token has the scope schema.bases:read."
        raise AirtableError(f"{error} {hint}") from error
    return answer.get("tables") if isinstance(answer, dict) else None
