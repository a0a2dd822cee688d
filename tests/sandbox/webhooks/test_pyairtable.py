"""pyairtable's webhook methods work with the sandbox."""

import base64

import pytest
from pyairtable import Api
from pyairtable import Base as BaseClient
from pyairtable.exceptions import MissingRecordError

from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.server import Sandbox
from tests.sandbox.conftest import PEOPLE
from tests.sandbox.webhook_support import receiving, specification
from tests.support.waiting import wait_until


@pytest.fixture
def client(api: Api) -> BaseClient:
    return api.base(PEOPLE)


def test_a_webhook_is_created_listed_extended_and_deleted(client: BaseClient) -> None:
    created = client.add_webhook("http://127.0.0.1:1/", specification())
    assert len(base64.b64decode(created.mac_secret_base64)) == 32
    [webhook] = client.webhooks()
    assert (webhook.id, webhook.notification_url) == (created.id, "http://127.0.0.1:1/")
    assert webhook.expiration_time is not None
    assert created.expiration_time is not None
    assert abs((webhook.expiration_time - created.expiration_time).total_seconds()) < 5
    assert webhook.specification.options.filters.data_types == [
        "tableData",
        "tableFields",
        "tableMetadata",
    ]
    webhook.disable_notifications()
    assert client.webhook(webhook.id).are_notifications_enabled is False
    webhook.enable_notifications()
    webhook.extend_expiration()
    assert client.webhook(webhook.id).are_notifications_enabled is True
    webhook.delete()
    with pytest.raises(MissingRecordError):
        client.webhook(webhook.id)


def test_pyairtable_parses_every_kind_of_payload(
    client: BaseClient, people: Table, sandbox: Sandbox
) -> None:
    includes = {
        "includePreviousCellValues": True,
        "includeCellValuesInFieldIds": "all",
        "includePreviousFieldDefinitions": True,
    }
    webhook = client.webhook(
        client.add_webhook("http://127.0.0.1:1/", specification(includes=includes)).id
    )
    base = sandbox.base(PEOPLE)
    people.create({"Name": "Dora", "Plan": "Tin"})
    people.update(next(iter(people.records)), {"Plan": "Tin", "Friends": list(people.records)})
    people.delete(next(iter(people.records)))
    people.add_field(Field("Mood"))
    people.rename_field("Mood", "Temper")
    people.remove_field("Temper")
    base.rename_table("People", "Persons")
    base.add_table(Table("Pets", [Field("Name")]))
    base.remove_table("Pets")
    sandbox.webhooks.fail(webhook.id, "INTERNAL_ERROR")
    payloads = list(webhook.payloads())
    assert [payload.cursor for payload in payloads] == list(range(1, 11))
    assert payloads[-1].error_code == "INTERNAL_ERROR"
    table = payloads[1].changed_tables_by_id[people.id]
    [record] = [r for r in table.changed_records_by_id.values() if r.unchanged and r.previous]
    assert len(record.current.cell_values_by_field_id) == 2
    assert payloads[7].created_tables_by_id
    assert payloads[8].destroyed_table_ids


def test_many_payloads_are_read_page_by_page(client: BaseClient, people: Table) -> None:
    webhook = client.webhook(client.add_webhook("http://127.0.0.1:1/", specification()).id)
    for number in range(120):
        people.create({"Name": str(number)})
    assert len(list(webhook.payloads())) == 120
    assert len(list(webhook.payloads(cursor=101))) == 20


def test_pyairtable_parses_the_result_of_a_failed_notification(
    client: BaseClient, people: Table, sandbox: Sandbox
) -> None:
    sandbox.webhooks.configure(notification_delay=0.0)
    with receiving() as receiver:
        receiver.statuses = [500]
        webhook_id = client.add_webhook(receiver.url, specification()).id
        people.create({"Name": "Dora"})
        wait_until(lambda: sandbox.webhooks.get(webhook_id).notification.last_result)
    result = client.webhook(webhook_id).last_notification_result
    assert result is not None
    assert result.error is not None
    assert (result.success, result.will_be_retried, result.retry_number) == (False, True, 0)
