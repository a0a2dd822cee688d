"""Processes that follow the change feed, for tests."""

from typing import Any

from django.conf import settings

from airtable_sync.airtable.limits.request_limits import REFRESH_LIMITS
from airtable_sync.configuration import Configuration
from airtable_sync.models import ChangeFeed, Run
from airtable_sync.services import Services, build_services
from sandbox.airtable.data.tables import Table
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id
from tests.support.cast import NUMBER
from tests.support.services import services


def another_process() -> Services:
    """The services of another process on this host, from the current settings."""
    rate_limiter = services().rate_limiter
    return build_services(
        Configuration.from_settings(settings),
        starts_per_window=rate_limiter.starts_per_window,
        window_seconds=rate_limiter.window_seconds,
        rate_limiter_file=rate_limiter._host_file._path,
    )


def roll_back() -> None:
    """Roll back to the newest snapshot that differs from the published one."""
    client = services().new_client(REFRESH_LIMITS)
    services().rollback.roll_back(None, Run.Trigger.ADMIN, "", client)


class FollowedBase:
    """The sandbox's base, and a process that follows its change feed. It starts in sync: there is a
    webhook subscription, and the base was read once."""

    def __init__(self, airtable: Sandbox) -> None:
        self.airtable = airtable
        self.process = another_process()
        self.replica = self.process.replica
        self.reader = self.process.feed_reader
        self.apply_changes()

    def apply_changes(self) -> dict[str, int]:
        """Read the change feed to its end. Returns the count of each outcome."""
        outcomes = self.reader.read_to_end()
        self.replica.sync()
        return {name: count for name, count in outcomes.items() if count}

    def config(self, number: str = NUMBER) -> dict[str, str] | None:
        entry = self.replica.get(number)
        return entry.config if entry else None

    def table(self, name: str) -> Table:
        return self.airtable.base().table(name)

    def record(self, table: str, field: str, value: str) -> str:
        """The id of the record whose field has this value."""
        return record_id(self.airtable, table, field, value)

    def feed(self) -> ChangeFeed:
        """The feed's state as the database has it now."""
        return ChangeFeed.for_base(self.airtable.base().id)

    def webhook(self) -> Any:
        """The base's only webhook, in the sandbox."""
        [webhook] = self.airtable.webhooks.of(self.airtable.base())
        return webhook

    def requested_paths(self) -> list[str]:
        return [each.path for each in self.airtable.requests]

    def check_subscription_next_time(self) -> None:
        self.reader.subscription._checked_at = float("-inf")
