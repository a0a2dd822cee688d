"""What a call of a number would get now: the same order of sources as `lookup/answerer.py`, without
asking Airtable."""

from dataclasses import dataclass
from typing import Literal

from airtable_sync.cache.entry import Entry
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import Services

State = Literal["known", "unknown", "lookup", "not served"]


@dataclass(frozen=True)
class AnswerNow:
    """`entry` is what is cached, also if a call could not use it; `copy` is where. `state`: `known`
    and `unknown` are answered from the cache, `lookup` needs Airtable, and `not served` gets the
    defaults."""

    state: State
    entry: Entry | None
    copy: str


class AnswersNow:
    def __init__(self, services: Services) -> None:
        self._services = services

    def get(self, number: str) -> AnswerNow:
        entry, copy = self.cached_entry(number)
        return AnswerNow(self._state(number, entry), entry, copy)

    def cached_entry(self, number: str) -> tuple[Entry | None, str]:
        """The entry, and from which copy. Redis has it first: a replica follows within
        milliseconds."""
        replica = self._services.replica
        if self._services.configuration.has_redis:
            try:
                entry = self._services.status_store.read(number)
            except CacheUnavailable:
                pass
            else:
                is_outdated = entry is not None and replica.is_outdated(entry)
                return None if is_outdated else _unless_dropped(entry), "Redis"
        return _unless_dropped(replica.get_any_age(number)), "this process's memory"

    def _state(self, number: str, entry: Entry | None) -> State:
        replica = self._services.replica
        if not self._services.active_mapping.is_served(number):
            return "not served"
        if entry and entry.is_known and (replica.is_fresh(entry) or replica.is_servable(entry)):
            return "known"
        if entry and not entry.is_known and replica.is_fresh(entry):
            return "unknown"
        return "unknown" if replica.is_absent(number) else "lookup"


def _unless_dropped(entry: Entry | None) -> Entry | None:
    return None if entry and entry.is_dropped else entry
