"""What configs a proposed mapping would make of the records that were read."""

from itertools import islice
from typing import Any

from airtable_sync.airtable.client import base_tables
from airtable_sync.mapping.join import join
from airtable_sync.mapping.load import parse_mapping
from airtable_sync.mapping.resolve import resolve
from airtable_sync.proposal.base import InspectedBase

EXAMPLES = 3


def example_configs(toml: str, base: InspectedBase) -> dict[str, dict[str, str]]:
    """The first three, by number. They lack linked records that are not in the sample."""
    known = base_tables([_documented(each) for each in base.schema]).known()
    mapping = resolve(parse_mapping(toml, "the proposal"), known)
    tables = {
        table.name: {record["id"]: record for record in base.records(table)}
        for table in base.tables
    }
    joined = join(mapping, tables, known)
    return {number: config.variables for number, config in islice(joined.configs.items(), EXAMPLES)}


def _documented(table: dict[str, Any]) -> dict[str, Any]:
    """Without fields that have no id or no name."""
    fields = table.get("fields")
    documented = [
        each
        for each in (fields if isinstance(fields, list) else [])
        if isinstance(each, dict)
        and isinstance(each.get("id"), str)
        and isinstance(each.get("name"), str)
    ]
    return {**table, "fields": documented}
