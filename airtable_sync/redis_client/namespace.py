"""Whose keys these are: several deployments may share a Redis."""

from dataclasses import dataclass
from functools import cached_property

# Names with this prefix belong to all deployments of a base: Airtable counts requests by base.
SHARED_BY_BASE = "rate_limiter:"
# What is about the set of one mapping, and so exists once for each saved version. Everything else
# (counts, answers, the refresh lock, the base's schema) belongs to the whole deployment.
OF_ONE_MAPPING = frozenset(
    {
        "change_feed_in_sync_until",
        "change_feed_leader",
        "change_feed_notified_at",
        "change_feed_read_at",
        "changes",
        "confirmed_at",
        "epoch",
        "index",
        "invalid_records",
        "known_numbers",
        "last_refresh",
        "paused_by",
        "process_states",
        "publication",
        "record_index",
        "refill_lock",
        "restored_lock",
        "sequence",
        "set_bytes",
    }
)
ENTRIES_OF_ONE_MAPPING = ("entry:", "lookup:", "record_index:")


@dataclass(frozen=True)
class Namespace:
    """`name` is CACHE_NAMESPACE, which keeps two deployments of a base apart. `part` is a cache of
    its own in it: the contacts. `generation` is the saved mapping's, "" for a file's: the set of a
    new version is complete beside the old one before any process uses it."""

    base_id: str
    name: str = ""
    part: str = ""
    generation: str = ""

    def __str__(self) -> str:
        return f"{self.base_id}:{self.name}" if self.name else self.base_id

    def key(self, name: str) -> str:
        """The braces put all keys of a base into one slot of a Redis cluster, because scripts may
        only use keys of one. https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags"""
        if name.startswith(ENTRIES_OF_ONE_MAPPING) or name in OF_ONE_MAPPING:
            return self._of_one_mapping + name
        if name.startswith(SHARED_BY_BASE):
            return self._shared_by_base + name
        return self._of_all_mappings + name

    # Made once: a refresh needs two keys for each number.

    @cached_property
    def _of_one_mapping(self) -> str:
        return self._prefix(self.name, self.generation, self.part)

    @cached_property
    def _of_all_mappings(self) -> str:
        return self._prefix(self.name, self.part)

    @cached_property
    def _shared_by_base(self) -> str:
        return self._prefix()

    def _prefix(self, *parts: str) -> str:
        base = f"{{{self.base_id or 'no base'}}}"
        return "".join(f"{each}:" for each in (base, *parts) if each)
