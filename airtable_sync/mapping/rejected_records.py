"""Records of numbers that make no config though they link to something: what they were followed to
is part of no entry, and where it is edited they may become usable."""

import json
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from airtable_sync.cache.redis_store import Store
from airtable_sync.mapping.join import Invalid

NAME = "unusable"  # a hash: id -> [asked at (ms), [ids of the records it was followed to]]
_REMEMBER = """
-- ARGV: those asked for until then (ms) go first; then per record: id, value
local there = redis.call("HGETALL", KEYS[1])
for i = 1, #there, 2 do
  local read_at = cjson.decode(there[i + 1])[1]
  if read_at <= tonumber(ARGV[1]) then redis.call("HDEL", KEYS[1], there[i]) end
end
for i = 2, #ARGV, 2 do redis.call("HSET", KEYS[1], ARGV[i], ARGV[i + 1]) end
"""


def replace(store: Store, invalid: Iterable[Invalid], read_at: int) -> None:
    """These are all that there are, as of `read_at` (ms)."""
    _remember(store, invalid, read_at, until=read_at)


def add(store: Store, invalid: Iterable[Invalid], read_at: int) -> None:
    _remember(store, invalid, read_at, until=0)


def made_from(store: Store, ids: AbstractSet[str]) -> set[str]:
    """The ids of those that were followed to any of these records."""
    [there] = store.ask(("HGETALL", NAME))
    return {
        id_.decode() for id_, value in there.items() if not ids.isdisjoint(json.loads(value)[1])
    }


def _remember(store: Store, invalid: Iterable[Invalid], read_at: int, until: int) -> None:
    arguments: list[str | int] = [until]
    for each in invalid:
        own, *others = [record.rpartition("/")[2] for record in each.records] or [""]
        if others:  # what has no links becomes usable by an edit of its own
            arguments += [own, json.dumps([read_at, others])]
    if until or len(arguments) > 1:
        store.run(_REMEMBER, [NAME], arguments)
