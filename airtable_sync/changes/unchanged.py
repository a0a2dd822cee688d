"""Confirms that nothing changed since the last refresh, without reading the base: the change feed
has no new payloads, and Redis has lost nothing."""

import logging
import time

from django.db import DatabaseError

from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.errors import AirtableError
from airtable_sync.airtable.webhooks_api import WebhooksApi
from airtable_sync.cache.redis_publication import RedisPublication
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.changes.shared_state import FeedStatus, SharedFeedState
from airtable_sync.models import ChangeFeed

logger = logging.getLogger(__name__)

# The base is read once a day in any case. Cron jobs are not punctual.
FULL_READ_SECONDS = 23.5 * 3600
# A webhook that was not read for longer may have expired: then its silence means nothing.
MAX_UNREAD_SECONDS = 24 * 3600
TRIES, PAUSE_SECONDS = 2, 2.0  # the leader may be about to apply new payloads


class UnchangedCheck:
    def __init__(
        self,
        store: RedisStore,
        contacts: RedisStore,
        shared: SharedFeedState,
        base_id: str,
        *,
        enabled: bool,
    ) -> None:
        self._store, self._contacts = store, contacts
        self._shared = shared
        self._base_id = base_id
        self._enabled = enabled

    def confirm(self, client: AirtableClient) -> int | None:
        """The count of numbers if nothing changed; None if the base has to be read. Takes one
        request, two if a change is being applied. Raises CacheUnavailable."""
        if not self._enabled:
            return None
        for _ in range(TRIES):
            status = self._shared.status()
            try:
                feed = ChangeFeed.for_base(self._base_id)
                if not _is_reliable(feed, status):
                    return None
                page = WebhooksApi(client).payloads(feed.webhook_id, feed.cursor)
            except (AirtableError, DatabaseError) as error:
                logger.info("The change feed can't confirm the cache: %s", error)
                return None
            if not page.payloads and page.cursor == feed.cursor:
                return self._count_if_complete(status)
            time.sleep(PAUSE_SECONDS)
        return None

    def _count_if_complete(self, status: FeedStatus) -> int | None:
        """Extends every entry. None if Redis has lost any."""
        counts = []
        for store in (self._store, self._contacts):
            publication, count = RedisPublication(store), store.count_known()
            if count and publication.extend_all() != count:
                return None
            counts.append(count)
        for store in (self._store, self._contacts):
            RedisPublication(store).confirm(status.now)
        return counts[0]


def _is_reliable(feed: ChangeFeed, status: FeedStatus) -> bool:
    return (
        bool(feed.webhook_id)
        and not feed.stopped
        and status.now - status.last_refresh_at < FULL_READ_SECONDS * 1000
        and feed.full_read_needed_since <= status.last_refresh_at
        and status.now - MAX_UNREAD_SECONDS * 1000 < feed.read_at <= status.read_at
    )
