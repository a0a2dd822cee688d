"""Records of called numbers that make no config although they link to others.

The linked records are part of no cache entry. If one of them is edited, the number may get a
config: the change feed finds it here."""

import json
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.mapping.joined import InvalidRecord

KEY = "invalid_records"  # hash: record id -> [read_at (ms), [ids of the linked records]]
_SAVE = """
-- ARGV: remove those read until then (ms); then per record: id, value
local existing = redis.call("HGETALL", KEYS[1])
for i = 1, #existing, 2 do
  local read_at = cjson.decode(existing[i + 1])[1]
  if read_at <= tonumber(ARGV[1]) then redis.call("HDEL", KEYS[1], existing[i]) end
end
for i = 2, #ARGV, 2 do redis.call("HSET", KEYS[1], ARGV[i], ARGV[i + 1]) end
"""


class InvalidRecords:
    """Raises CacheUnavailable."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    def replace_all(self, records: Iterable[InvalidRecord], read_at: int) -> None:
        """These are all invalid records, as of `read_at` (ms)."""
        self._save(records, read_at, remove_until=read_at)

    def add(self, records: Iterable[InvalidRecord], read_at: int) -> None:
        self._save(records, read_at, remove_until=0)

    def linked_to(self, record_ids: AbstractSet[str]) -> set[str]:
        """The ids of the invalid records that link to any of these records."""
        [rows] = self._store.read_all(("HGETALL", KEY))
        return {
            record_id.decode()
            for record_id, value in rows.items()
            if not record_ids.isdisjoint(json.loads(value)[1])
        }

    def _save(self, records: Iterable[InvalidRecord], read_at: int, remove_until: int) -> None:
        arguments: list[str | int] = [remove_until]
        for each in records:
            own, *linked = [record.rpartition("/")[2] for record in each.records] or [""]
            if linked:  # without links only an edit of the record itself can help
                arguments += [own, json.dumps([read_at, linked])]
        if remove_until or len(arguments) > 1:
            self._store.run_script(_SAVE, [KEY], arguments)
