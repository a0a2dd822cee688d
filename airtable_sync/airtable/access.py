"""Whether Airtable accepts the token: known to this process, and in Redis for the others."""

from contextlib import suppress

from airtable_sync.airtable.errors import AccessDenied, AirtableError
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.redis_client.connection import CacheUnavailable

KEY = "airtable_access_denied"
KEPT_SECONDS = 4 * 3600  # the cron job asks again before


class AirtableAccess:
    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self.denied_message = ""  # Airtable's message to this process; "" while it has access

    def request_ended(self, error: AirtableError | None) -> None:
        """A request ended; None: with success."""
        if isinstance(error, AccessDenied):
            self.denied_message = str(error)
            with suppress(CacheUnavailable):
                self._store.set(KEY, self.denied_message, KEPT_SECONDS)
        elif error is None and self.denied_message:
            self.granted()

    def granted(self) -> None:
        """Airtable accepts the token, also if another process was denied before."""
        self.denied_message = ""
        with suppress(CacheUnavailable):
            self._store.delete(KEY)
