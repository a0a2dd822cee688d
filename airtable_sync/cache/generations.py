"""The cached sets of several mappings in one Redis: each saved version has its own (a generation),
and a file's has the generation "". A set is removed when no process uses it any more."""

import logging
from collections.abc import Sequence

from airtable_sync.cache.chunks import chunks
from airtable_sync.cache.keys import entry_key
from airtable_sync.cache.processes import live_processes
from airtable_sync.cache.record_index import all_sets
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.redis_client.namespace import OF_ONE_MAPPING
from airtable_sync.redis_client.scripts import Command

logger = logging.getLogger(__name__)

KEY = "mapping_generations"  # set: the generations of saved versions that may have keys
_UNLINK = 'return redis.call("UNLINK", unpack(KEYS))'


class Generations:
    """`stores` are those of the called numbers and of the contacts, of this process's mapping.
    Without Redis there are none. Methods raise CacheUnavailable."""

    def __init__(self, stores: Sequence[RedisStore]) -> None:
        self._stores = stores

    def begin(self) -> None:
        """Before anything is written for this process's mapping."""
        for store in self._stores[:1]:
            store.run_all([Command("SADD", KEY, [store.namespace.generation])])

    def others(self) -> list[str]:
        """The generations of other mappings that may have keys."""
        if not self._stores:
            return []
        store, own = self._stores[0], self._stores[0].namespace.generation
        [members] = store.read_all(("SMEMBERS", KEY))
        found = {member.decode() for member in members}
        return sorted((found | {""} if own else found) - {own})

    def stores_of(self, generation: str) -> list[RedisStore]:
        return [store.of_generation(generation) for store in self._stores]

    def all_stores(self) -> list[list[RedisStore]]:
        """For each mapping that may have keys its stores, as in the constructor."""
        if not self._stores:
            return []
        return [list(self._stores), *map(self.stores_of, self.others())]

    def announce(self) -> None:
        """Tell the processes of all other mappings that this one is in force."""
        for generation in self.others():
            self.stores_of(generation)[0].announce_mapping()

    def remove_unused(self) -> None:
        """Remove the other mappings' sets that no live process uses. The caller has the refresh
        lock, so none is being published. A failure is logged: the next refresh tries again."""
        try:
            if self._stores and self._stores[0].namespace.generation:
                self.begin()  # Redis may have been emptied since
            for generation in self.others():
                if not live_processes(self.stores_of(generation)[0]):
                    self._remove(generation)
        except CacheUnavailable as error:
            logger.warning("The sets of earlier mappings were not removed: %s", error)

    def _remove(self, generation: str) -> None:
        for store in self.stores_of(generation):
            for chunk in chunks(store.all_indexed()):
                store.run_script(_UNLINK, [entry_key(number) for number in chunk], [])
            for sets in chunks(all_sets()):
                store.run_script(_UNLINK, sets, [])
            store.run_script(_UNLINK, sorted(OF_ONE_MAPPING), [])
        self._stores[0].run_all([Command("SREM", KEY, [generation])])
