"""`manage.py watch_airtable`: the hook by which Airtable tells of changes."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from airtable_sync.airtable.client import REFRESH_LIMITS, Airtable
from airtable_sync.airtable.errors import AirtableError, NotFound
from airtable_sync.cache.redis_store import PATIENT, CacheUnavailable
from airtable_sync.changes import shared_state
from airtable_sync.changes.subscription import Hook, ping_url
from airtable_sync.models import ChangeFeed
from airtable_sync.refresh.lock import RefreshInProgress


class Command(BaseCommand):
    help = (
        "Register a hook on the Airtable base, by which it tells of changes; show it; or remove "
        "it. Only hooks that Siftly made itself are ever touched."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "what", nargs="?", choices=["create", "show", "remove"], default="create"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        self.hook = Hook(PATIENT, Airtable(REFRESH_LIMITS))
        try:
            getattr(self, options["what"])(ChangeFeed.of_this_base())
        except (AirtableError, CacheUnavailable, RefreshInProgress) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The database: {error}") from error

    def create(self, state: ChangeFeed) -> None:
        if settings.AIRTABLE_CHANGES == "off":
            raise CommandError("AIRTABLE_CHANGES is off: set it to push or poll first.")
        if settings.AIRTABLE_CHANGES == "push" and not settings.PUBLIC_URL:
            raise CommandError("PUBLIC_URL is not set: Airtable would not know where to ping.")
        state.change(stopped=False)
        if self._exists(state) and state.url == ping_url():
            self.stdout.write(f"Hook {state.hook} is there already.")
        else:
            self.hook.recreate(state, "")
            self.stdout.write(f"Hook {state.hook} was created. The set is read once, then changes.")
        shared_state.forgive(PATIENT)
        self.show(state)

    def show(self, state: ChangeFeed) -> None:
        if not state.hook:
            self.stdout.write("There is no hook. `manage.py watch_airtable create` makes one.")
            return
        hook = next((each for each in self.hook.hooks.listed() if each.id == state.hook), None)
        lines = {
            "hook": state.hook + ("" if hook else ", which Airtable does not know any more"),
            "pings": (state.url or "none: it is polled")
            + (" (switched off by Airtable)" if hook and hook.url and not hook.pings else ""),
            "expires": f"{hook.expires_at:%Y-%m-%d %H:%M} UTC" if hook and hook.expires_at else "-",
            "read up to": f"payload {state.cursor}" + (f" of {hook.next_cursor}" if hook else ""),
            "last trouble": state.trouble or "none",
        }
        for name, value in lines.items():
            self.stdout.write(f"{name + ':':<14}{value}")

    def remove(self, state: ChangeFeed) -> None:
        """It stays removed until somebody creates one again."""
        if state.hook:
            try:
                self.hook.hooks.delete(state.hook)
            except NotFound:
                self.stdout.write("Airtable did not know it any more.")
        state.change(hook="", secret="", stopped=True, last_error_at=timezone.now())
        self.stdout.write("No hook is left. Without one, changes are live after the next refresh.")

    def _exists(self, state: ChangeFeed) -> bool:
        return any(hook.id == state.hook and hook.enabled for hook in self.hook.hooks.listed())
