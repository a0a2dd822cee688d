"""Our webhook subscription at Airtable: created, kept alive, replaced when it is lost, and read."""

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.errors import TEMPORARY, AirtableError, NotFound, Unavailable
from airtable_sync.airtable.webhooks_api import (
    CreatedWebhook,
    PayloadPage,
    Webhook,
    WebhooksApi,
)
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.changes.payloads import ChangedRecords
from airtable_sync.changes.polling import DENIED_RETRY_SECONDS, Polling
from airtable_sync.changes.shared_state import FeedStatus, SharedFeedState
from airtable_sync.mapping.base_schema import BaseSchema
from airtable_sync.models import ChangeFeed
from airtable_sync.refresh.lock import RefreshInProgress

logger = logging.getLogger(__name__)

EXTEND_BEFORE = timedelta(days=2)
MAX_PAGES = 10_000  # of fifty payloads each; Airtable keeps them for a week


class ChangesLost(Exception):
    """The feed can't say any more what changed. The message says why."""


class WebhookSubscription:
    """Every method raises AirtableError, CacheUnavailable and DatabaseError. `notification_url` is
    "" if the feed is polled."""

    def __init__(
        self,
        client: AirtableClient,
        clock: RedisStore,
        shared: SharedFeedState,
        base_schema: BaseSchema,
        polling: Polling,
        notification_url: str,
    ) -> None:
        self.client = client
        self.webhooks = WebhooksApi(client)
        self.notification_url = notification_url
        self._clock = clock
        self._shared = shared
        self._base_schema = base_schema
        self._polling = polling
        self._was_tried = False  # by this process
        self._checked_at = float("-inf")
        self._next_cursor = 0  # where the feed ends, as the webhook itself says

    def may_try(self, status: FeedStatus) -> bool:
        """After Airtable has denied the subscription, only a process that has just started tries
        again: its token may be a new one."""
        if status.denied and self._was_tried:
            return False
        self._was_tried = True
        return True

    def ensure(self, feed: ChangeFeed) -> None:
        """Make sure that there is a working subscription. Now and then look at it: it expires in a
        week, and Airtable stops notifying after a day of failures. Raises ChangesLost."""
        if not feed.webhook_id or feed.notification_url != self.notification_url:
            self.replace(feed, "Its address has changed." if feed.webhook_id else "")
        if time.monotonic() - self._checked_at < self._polling.subscription_check_seconds():
            return
        with self._errors_recorded(feed):
            existing = self.webhooks.all()
        webhook = next((each for each in existing if each.id == feed.webhook_id), None)
        if webhook is None:
            raise ChangesLost("The webhook subscription was deleted.")
        if not webhook.is_alive(datetime.now(UTC)):
            raise ChangesLost("The webhook subscription has expired, or was disabled.")
        if webhook.next_cursor < feed.cursor:
            raise ChangesLost("The webhook subscription has started to count again.")
        self._next_cursor = webhook.next_cursor
        self._keep_alive(feed, webhook)
        self._delete(each for each in existing if each.id != webhook.id and self._is_ours(each))
        self._checked_at = time.monotonic()

    def replace(self, feed: ChangeFeed, reason: str) -> None:
        """Create a new subscription. A full refresh has to follow. Raises RefreshInProgress if
        another process replaces it at the same time."""
        if reason:
            logger.warning("The change feed starts again: %s", reason)
        with self._errors_recorded(feed):
            self._delete_old(feed)
            created = self.webhooks.create(self.notification_url or None)
        if not self._save(feed, created):
            self.webhooks.delete(created.id)
            raise RefreshInProgress("Another process replaces the webhook subscription.")
        self._base_schema.mark_outdated()
        feed.record_error(reason)
        self._next_cursor = 0

    def read(self, feed: ChangeFeed) -> tuple[ChangedRecords, int]:
        """All payloads from the cursor on, and the cursor behind them. Raises ChangesLost."""
        changed, cursor = ChangedRecords(), feed.cursor
        for page in self._pages(feed):
            if page.payloads and page.first > cursor:
                raise ChangesLost("Airtable has deleted payloads that were not read in a week.")
            for payload in page.payloads:
                changed.add(payload)
            if changed.error_code:
                raise ChangesLost(f"Airtable reports {changed.error_code}.")
            cursor = page.cursor
        if cursor < self._next_cursor:
            raise ChangesLost("Airtable has deleted payloads that were not read in a week.")
        return changed, cursor

    def _pages(self, feed: ChangeFeed) -> Iterator[PayloadPage]:
        """Raises Unavailable if the feed has no end."""
        cursor = feed.cursor
        for _ in range(MAX_PAGES):
            with self._errors_recorded(feed):
                page = self.webhooks.payloads(feed.webhook_id, cursor)
            yield page
            if not page.more or not page.payloads:
                return
            if page.cursor <= cursor:
                raise Unavailable("Airtable's change feed has no end: its cursor does not advance.")
            cursor = page.cursor
        raise Unavailable(f"Airtable's change feed has more than {MAX_PAGES} pages.")

    def _save(self, feed: ChangeFeed, created: CreatedWebhook) -> bool:
        return feed.change(
            webhook_id=created.id,
            mac_secret=created.mac_secret,
            notification_url=self.notification_url,
            cursor=1,
            expires_at=created.expires_at,
            full_read_needed_since=self._clock.now(),
        )

    def _delete_old(self, feed: ChangeFeed) -> None:
        """The known subscription, and those that notify our own address. Never others."""
        existing = self.webhooks.all()
        self._delete(e for e in existing if e.id == feed.webhook_id or self._is_ours(e))

    def _delete(self, webhooks: Iterable[Webhook]) -> None:
        for webhook in webhooks:
            with suppress(NotFound):
                self.webhooks.delete(webhook.id)

    def _keep_alive(self, feed: ChangeFeed, webhook: Webhook) -> None:
        if webhook.expires_at and webhook.expires_at - datetime.now(UTC) < EXTEND_BEFORE:
            self.webhooks.extend(webhook.id)
        if feed.notification_url and not webhook.notifies:
            self.webhooks.enable_notifications(webhook.id)
            feed.record_error(
                f"Airtable had stopped change notifications ({webhook.last_failure}); they were "
                "enabled again."
            )

    def _is_ours(self, webhook: Webhook) -> bool:
        return bool(webhook.url) and webhook.url == self.notification_url

    @contextmanager
    def _errors_recorded(self, feed: ChangeFeed) -> Iterator[None]:
        """An error that a person has to fix (a missing scope, the base's ten webhooks) is recorded,
        and no process tries again for hours."""
        try:
            yield
        except AirtableError as error:
            if not isinstance(error, (NotFound, *TEMPORARY)):
                feed.record_error(f"The change feed can't be followed: {error}")
                self._shared.set_denied(DENIED_RETRY_SECONDS)
            raise


def notification_url_for(changes: str, public_url: str) -> str:
    """Where Airtable sends change notifications; "" if the feed is polled."""
    return f"{public_url.rstrip('/')}/airtable/changes/" if changes == "push" else ""
