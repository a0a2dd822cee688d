"""Who is calling? What a call's answer says of the caller. No call waits for Airtable because of
it: contacts are read by the refresh and the change feed."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from airtable_sync.cache.contacts import contact_keys, first_known
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.cache.replica import Replica
from airtable_sync.lookup.answer import Answer
from airtable_sync.lookup.unknown_number import UnknownNumber
from airtable_sync.redis_client.connection import CacheUnavailable

logger = logging.getLogger(__name__)

KNOWN = "caller_known"


class Callers:
    """`contacts` has as many contacts as fit into memory. `store` has all; None without Redis."""

    def __init__(
        self,
        contacts: Replica,
        store: RedisStore | None,
        unknown_number: UnknownNumber,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._contacts, self._store = contacts, store
        self._unknown_number = unknown_number
        self._threads = threads

    @property
    def are_told(self) -> bool:
        """Whether the mapping has [callers]."""
        return self._unknown_number.caller_variables is not None

    def in_memory(self, entry: Entry | None, caller: str | None) -> tuple[Entry | None, bool]:
        """The contact, and whether memory has the answer: None and False if Redis may know it."""
        if caller is None:
            return None, True
        for key in _keys(entry, caller):
            found = self._contacts.get(key)
            if found and found.is_known:
                return found, True
        return None, self._contacts.complete or self._store is None

    def raw(self, contact: Entry) -> bytes:
        """The contact's bytes: equal bytes, equal contacts. Empty if it was removed just now."""
        return self._contacts.raw(contact.number) or b""

    async def find(self, entry: Entry | None, caller: str | None, deadline: float) -> Entry | None:
        found, is_certain = self.in_memory(entry, caller)
        if is_certain or caller is None or self._store is None:
            return found
        reading = asyncio.get_running_loop().run_in_executor(
            self._threads, _read, self._store, _keys(entry, caller)
        )
        try:
            return await asyncio.wait_for(reading, deadline - time.monotonic())
        except (CacheUnavailable, TimeoutError) as error:
            logger.warning("Redis can't be asked for a caller: %s", error or "timeout")
            return None

    def told(self, answer: Answer, contact: Entry | None) -> Answer:
        """The answer with what it says of the caller. A variable of the called number wins."""
        variables = {
            **(self._unknown_number.caller_variables or {}),
            **((contact and contact.config) or {}),
            KNOWN: "true" if contact else "false",
        }
        return replace(answer, variables=_with(answer.variables, variables))


def _with(own: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    return {**own, **{name: text for name, text in more.items() if name not in own}}


def _keys(entry: Entry | None, caller: str) -> Sequence[str]:
    return contact_keys(entry.records if entry else (), caller)


def _read(store: RedisStore, keys: Sequence[str]) -> Entry | None:
    return first_known(store.read_many(keys), keys)
