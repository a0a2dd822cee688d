"""pyairtable, which models Airtable's answers, understands the sandbox's."""

import base64

import pytest
from pyairtable import Api
from pyairtable import Base as BaseClient
from pyairtable.exceptions import MissingRecordError

from sandbox.airtable.bases import Field, Table
from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import PEOPLE
from tests.sandbox.feed import receiving, specification, wait_until


@pytest.fixture
def client(api: Api) -> BaseClient:
    return api.base(PEOPLE)


def test_a_hook_lives_its_life(client: BaseClient) -> None:
    created = client.add_webhook("http://127.0.0.1:1/", specification())
    assert len(base64.b64decode(created.mac_secret_base64)) == 32
    [hook] = client.webhooks()
    assert (hook.id, hook.notification_url) == (created.id, "http://127.0.0.1:1/")
    assert hook.expiration_time is not None
    assert created.expiration_time is not None
    assert abs((hook.expiration_time - created.expiration_time).total_seconds()) < 5
    assert hook.specification.options.filters.data_types == [
        "tableData",
        "tableFields",
        "tableMetadata",
    ]
    hook.disable_notifications()
    assert client.webhook(hook.id).are_notifications_enabled is False
    hook.enable_notifications()
    hook.extend_expiration()
    assert client.webhook(hook.id).are_notifications_enabled is True
    hook.delete()
    with pytest.raises(MissingRecordError):
        client.webhook(hook.id)


def test_every_kind_of_payload_is_understood(
    client: BaseClient, people: Table, sandbox: Sandbox
) -> None:
    includes = {
        "includePreviousCellValues": True,
        "includeCellValuesInFieldIds": "all",
        "includePreviousFieldDefinitions": True,
    }
    hook = client.webhook(
        client.add_webhook("http://127.0.0.1:1/", specification(includes=includes)).id
    )
    people.create({"Name": "Dora", "Plan": "Tin"})
    people.update(next(iter(people.records)), {"Plan": "Tin", "Friends": list(people.records)})
    people.delete(next(iter(people.records)))
    people.add_field(Field("Mood"))
    people.rename_field("Mood", "Temper")
    people.remove_field("Temper")
    people.base.rename_table("People", "Persons")
    people.base.add_table(Table("Pets", [Field("Name")]))
    people.base.remove_table("Pets")
    sandbox.webhooks.fail(hook.id, "INTERNAL_ERROR")
    payloads = list(hook.payloads())
    assert [payload.cursor for payload in payloads] == list(range(1, 11))
    assert payloads[-1].error_code == "INTERNAL_ERROR"
    table = payloads[1].changed_tables_by_id[people.id]
    [record] = [r for r in table.changed_records_by_id.values() if r.unchanged and r.previous]
    assert len(record.current.cell_values_by_field_id) == 2
    assert payloads[7].created_tables_by_id
    assert payloads[8].destroyed_table_ids


def test_many_payloads_are_read_page_by_page(client: BaseClient, people: Table) -> None:
    hook = client.webhook(client.add_webhook("http://127.0.0.1:1/", specification()).id)
    for number in range(120):
        people.create({"Name": str(number)})
    assert len(list(hook.payloads())) == 120
    assert len(list(hook.payloads(cursor=101))) == 20


def test_the_listed_result_of_a_failed_ping_is_understood(
    client: BaseClient, people: Table, sandbox: Sandbox
) -> None:
    sandbox.webhooks.configure(ping_delay=0.0)
    with receiving() as receiver:
        receiver.statuses = [500]
        hook_id = client.add_webhook(receiver.url, specification()).id
        people.create({"Name": "Dora"})
        wait_until(lambda: sandbox.webhooks.get(hook_id).ping.last_result)
    result = client.webhook(hook_id).last_notification_result
    assert result is not None
    assert result.error is not None
    assert (result.success, result.will_be_retried, result.retry_number) == (False, True, 0)
