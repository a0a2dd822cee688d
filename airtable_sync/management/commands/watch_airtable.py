"""`manage.py watch_airtable`: the webhook subscription through which Airtable reports changes."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from airtable_sync.airtable.errors import AirtableError, NotFound
from airtable_sync.airtable.limits.request_limits import REFRESH_LIMITS
from airtable_sync.models import ChangeFeed
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.refresh.lock import RefreshInProgress
from airtable_sync.services import services


class Command(BaseCommand):
    help = (
        "Create, show or remove the webhook subscription through which Airtable reports changes. "
        "Only subscriptions that Siftly made are ever changed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "action",
            nargs="?",
            choices=["create", "show", "remove"],
            default="create",
            help="default: create",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        self.services = services()
        self.subscription = self.services.new_subscription(REFRESH_LIMITS)
        actions: dict[str, Callable[[ChangeFeed], None]] = {
            "create": self._create,
            "show": self._show,
            "remove": self._remove,
        }
        try:
            feed = ChangeFeed.for_base(self.services.configuration.airtable_base_id)
            actions[options["action"]](feed)
        except (AirtableError, CacheUnavailable, RefreshInProgress) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The database: {error}") from error

    def _create(self, feed: ChangeFeed) -> None:
        configuration = self.services.configuration
        if configuration.airtable_changes == "off":
            raise CommandError("AIRTABLE_CHANGES is off: set it to push or poll first.")
        if configuration.airtable_changes == "push" and not configuration.public_url:
            raise CommandError("PUBLIC_URL is not set: Airtable has no address to notify.")
        feed.change(stopped=False)
        if self._exists(feed) and feed.notification_url == self.subscription.notification_url:
            self.stdout.write(f"The webhook subscription {feed.webhook_id} exists already.")
        elif self._replace(feed):
            self.stdout.write(
                f"The webhook subscription {feed.webhook_id} was created. The base is read once, "
                "then changes follow."
            )
        else:
            self.stdout.write(
                f"The webhook subscription {feed.webhook_id} was created at this moment by another "
                "process."
            )
        self.services.feed_state.clear_denied()
        self._show(feed)

    def _replace(self, feed: ChangeFeed) -> bool:
        """False if another process, a server that has just started for example, was faster."""
        try:
            self.subscription.replace(feed, "")
        except RefreshInProgress:
            feed.refresh_from_db()
            return False
        return True

    def _show(self, feed: ChangeFeed) -> None:
        if not feed.webhook_id:
            self.stdout.write(
                "There is no webhook subscription. `manage.py watch_airtable create` makes one."
            )
            return
        existing = self.subscription.webhooks.all()
        webhook = next((each for each in existing if each.id == feed.webhook_id), None)
        is_silent = webhook and webhook.url and not webhook.notifies
        expires_at = webhook.expires_at if webhook else None
        lines = {
            "webhook": feed.webhook_id + ("" if webhook else ", which Airtable has deleted"),
            "notifies": (feed.notification_url or "nothing: the change feed is polled")
            + (" (Airtable has stopped)" if is_silent else ""),
            "expires": f"{expires_at:%Y-%m-%d %H:%M} UTC" if expires_at else "-",
            "read up to": f"payload {feed.cursor}"
            + (f" of {webhook.next_cursor}" if webhook else ""),
            "last error": feed.last_error or "none",
        }
        for name, value in lines.items():
            self.stdout.write(f"{name + ':':<14}{value}")

    def _remove(self, feed: ChangeFeed) -> None:
        """The change feed stays off until an operator creates a subscription again."""
        if feed.webhook_id:
            try:
                self.subscription.webhooks.delete(feed.webhook_id)
            except NotFound:
                self.stdout.write("Airtable had deleted it already.")
        feed.change(webhook_id="", mac_secret="", stopped=True, last_error_at=timezone.now())
        self.stdout.write(
            "There is no webhook subscription any more. Edits are live after the next refresh."
        )

    def _exists(self, feed: ChangeFeed) -> bool:
        existing = self.subscription.webhooks.all()
        return any(each.id == feed.webhook_id and each.enabled for each in existing)
