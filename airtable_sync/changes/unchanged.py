"""A refresh that need not read anything: the change feed says that nothing changed since the last,
and Redis still has all of it."""

import logging
import time

from django.conf import settings
from django.db import DatabaseError

from airtable_sync.airtable.client import Airtable
from airtable_sync.airtable.errors import AirtableError
from airtable_sync.airtable.webhooks_api import Hooks
from airtable_sync.cache.redis_store import Store
from airtable_sync.changes import shared_state
from airtable_sync.models import ChangeFeed

logger = logging.getLogger(__name__)

# Everything is read once a day all the same; cron's hours are not exact.
FULL_EVERY_SECONDS = 23.5 * 3600
# A hook that nobody has read for longer may have expired, and say nothing for that reason.
DRAINED_SECONDS = 24 * 3600
TRIES, PAUSE_SECONDS = 2, 2.0  # whoever follows the feed may be about to write what it says


def confirmed(store: Store, airtable: Airtable) -> int | None:
    """How many numbers there are, if all of them are confirmed; None if they have to be read. One
    request, or two if something was under way. Raises CacheUnavailable."""
    if not settings.REDIS_URL or settings.AIRTABLE_CHANGES == "off":
        return None
    for _ in range(TRIES):
        marks = shared_state.look(store)
        try:
            feed = ChangeFeed.of_this_base()
            if not _can_tell(feed, marks):
                return None
            page = Hooks(airtable).page(feed.hook, feed.cursor)
        except (AirtableError, DatabaseError) as error:
            logger.info("The change feed can't confirm the set: %s", error)
            return None
        if not page.payloads and page.cursor == feed.cursor:
            return _intact(store, marks)
        time.sleep(PAUSE_SECONDS)
    return None


def _can_tell(feed: ChangeFeed, marks: shared_state.Marks) -> bool:
    return (
        bool(feed.hook)
        and not feed.stopped
        and marks.now - marks.last_refresh_at < FULL_EVERY_SECONDS * 1000
        and feed.full_read_needed_since <= marks.last_refresh_at
        and marks.now - DRAINED_SECONDS * 1000 < feed.feed_read_at <= marks.feed_read_at
    )


def _intact(store: Store, marks: shared_state.Marks) -> int | None:
    """The numbers, if Redis has not lost any: each then lives on as if it had been written."""
    numbers = store.count()
    if store.prolong() != numbers:
        return None
    store.confirmed(marks.now)
    return numbers
