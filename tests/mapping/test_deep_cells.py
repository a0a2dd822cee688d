"""Values that are nested hundreds of levels deep: Python would raise RecursionError."""

import json
from typing import Any

import pytest

from airtable_sync.airtable.errors import AirtableError, Unavailable
from airtable_sync.airtable.limits.request_limits import CALL_LIMITS
from airtable_sync.airtable.webhooks_api import WebhooksApi
from airtable_sync.changes.payloads import ChangedRecords
from airtable_sync.lookup.airtable_lookup import AirtableLookup
from airtable_sync.mapping.formatting import MAX_DEPTH, text_of
from airtable_sync.mapping.join import join
from airtable_sync.mapping.known_base import KnownBase
from airtable_sync.mapping.load import load_mapping
from airtable_sync.mapping.schema import Source
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from siftly.environment import mapping_path
from tests.support.cast import NUMBER
from tests.support.commands import refresh
from tests.support.services import services

DEEP_LIST = "[" * 900 + "1" + "]" * 900
DEEP_OBJECT = '{"a":' * 900 + "1" + "}" * 900
DEEP = pytest.mark.parametrize("deep", [DEEP_LIST, DEEP_OBJECT], ids=["list", "object"])


def page_with(deep: str, **fields: str) -> Fault:
    """A page with one record, whose other cell is `deep`."""
    cells = json.dumps({**fields, "notes": "DEEP"}).replace('"DEEP"', deep)
    return Fault(
        path="/customers",
        html=f'{{"records": [{{"id": "rec1", "createdTime": "2026-01-01", "fields": {cells}}}]}}',
        times=None,
    )


@DEEP
@pytest.mark.django_db
def test_a_refresh_counts_a_cell_that_is_nested_too_deeply_as_empty_and_warns(
    fake_redis: str, flat_airtable: Sandbox, deep: str
) -> None:
    flat_airtable.faults.add(page_with(deep, to_number=NUMBER, customer_name="John"))
    report = refresh("--force")
    assert (report["exit"], report["numbers"]) == (0, 1)
    entry = services().command_store.read(NUMBER)
    assert entry
    assert entry.config
    assert {name: text for name, text in entry.config.items() if text} == {"customer_name": "John"}
    assert entry.config["notes"] == ""
    assert entry.warnings == ("customers/rec1: notes is nested too deeply and counts as empty.",)


@DEEP
def test_a_lookup_counts_a_cell_that_is_nested_too_deeply_as_empty_and_warns(
    flat_airtable: Sandbox, deep: str
) -> None:
    flat_airtable.faults.add(page_with(deep, to_number=NUMBER))
    own = services()
    client = own.new_client(CALL_LIMITS)
    lookup = AirtableLookup(client, own.active_mapping, own.call_schema, own.call_store)
    entry = lookup.look_up([NUMBER])[NUMBER]
    assert entry.config == {"notes": ""}
    assert "nested too deeply" in entry.warnings[0]


@DEEP
def test_a_called_number_that_is_nested_too_deeply_is_reported(
    flat_airtable: Sandbox, deep: str
) -> None:
    fault = page_with(deep)
    flat_airtable.faults.add(Fault(html=(fault.html or "").replace("notes", "to_number")))
    [page] = services().new_client(CALL_LIMITS).pages(Source("customers"))
    joined = join(load_mapping(mapping_path("flat")), {"customers": {"rec1": page[0]}}, KnownBase())
    assert [each.record for each in joined.findings.invalid] == ["customers/rec1"]


def test_a_cell_as_deep_as_the_limit_keeps_its_text() -> None:
    assert text_of(json.loads("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH)) == "1"


@DEEP
def test_no_payload_of_the_change_feed_is_nested_too_deeply(deep: str) -> None:
    value = json.loads(deep)
    changed = ChangedRecords()
    changed.add({"error": True, "code": value})
    cells = {"fld1": [{"id": value}], "fld2": value}
    records = {"rec1": {"cellValuesByFieldId": cells}}
    payload: dict[str, Any] = {"payloadFormat": "v0", "timestamp": "2026-01-01T00:00:00Z"}
    changed.add({**payload, "changedTablesById": {"tbl1": {"createdRecordsById": records}}})
    assert changed.error_code == "unknown"
    assert changed.cells["tbl1"]["rec1"]["fld1"] == ()


@DEEP
@pytest.mark.parametrize("shape", ['{"error": %s}', '{"error": {"type": %s}}', '{"errors": [%s]}'])
def test_an_error_that_is_nested_too_deeply_is_an_error_with_a_sentence(
    airtable: Sandbox, deep: str, shape: str
) -> None:
    airtable.faults.add(Fault(status=422, html=shape % deep))
    with pytest.raises(AirtableError, match="Airtable"):
        list(services().new_client(CALL_LIMITS).pages(Source("client")))


@DEEP
def test_names_and_ids_that_are_nested_too_deeply_are_malformed(
    airtable: Sandbox, deep: str
) -> None:
    client = services().new_client(CALL_LIMITS)
    table = '{"tables": [{"id": "tbl1", "name": "a", "fields": [{"id": "fld1", "name": %s}]}]}'
    airtable.faults.add(Fault(path="/meta", html=table % deep))
    with pytest.raises(Unavailable, match="has no tables"):
        client.read_tables()
    airtable.faults.add(Fault(path="/webhooks", html=f'{{"webhooks": [{{"id": {deep}}}]}}'))
    with pytest.raises(Unavailable, match="has no webhooks"):
        WebhooksApi(client).all()
