"""The record index: which entries in Redis may be made from a record of Airtable. With it an edit
finds its entries without a search through all of them. It is made when the entries are more than a
process can hold (`RedisIndex.make_record_index`); from then on `publish.lua` keeps it exact.

It is 4,093 sets of numbers. An entry is in the set of each of its records. The sets are small and
of integers, which Redis keeps as sorted arrays: eight bytes for each record of an entry.
https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/memory-optimization/"""

import json

from airtable_sync.cache.keys import RECORD_INDEX
from airtable_sync.redis_client.scripts import load_script

SETS = 4093  # a prime
_FACTOR, _BYTES = 131, 4  # of the hash, and how much of an id it takes
FUNCTIONS = load_script(__file__, "record_index.lua")
ADD = (
    FUNCTIONS
    + """
-- KEYS: record index, entries; ARGV: their numbers
for i, value in ipairs(redis.call("MGET", unpack(KEYS, 2))) do
  if value then index_by_records(KEYS[1], ARGV[i], nil, value) end
end
"""
)
MADE_FROM = """
-- KEYS: entries; ARGV: ids of records. Returns the place and the value of each entry with one
local found, wanted, values = {}, {}, redis.call("MGET", unpack(KEYS))
for _, id in ipairs(ARGV) do wanted[id] = true end

local function has_one(value)
  if #ARGV <= 8 then -- the usual edit: faster than taking each value apart
    for _, id in ipairs(ARGV) do
      if string.find(value, id, 1, true) then return true end
    end
    return false
  end
  for id in string.gmatch(value, '/([^/"]+)"') do
    if wanted[id] then return true end
  end
  return false
end

for i, value in ipairs(values) do
  if value and has_one(value) then
    found[#found + 1] = i
    found[#found + 1] = value
  end
end
return found
"""


def set_of(record_id: str) -> str:
    """The name of the set that has the entries made from this record, as in `record_index.lua`."""
    place = 0
    for byte in json.dumps(record_id)[1:-1].encode()[-_BYTES:]:
        place = place * _FACTOR + byte
    return f"{RECORD_INDEX}:{place % SETS}"


def all_sets() -> list[str]:
    return [f"{RECORD_INDEX}:{place}" for place in range(SETS)]


def number_of(member: bytes) -> str:
    """The number, or the contact's key, of a member of a set."""
    text = member.decode()
    return text[1:] if text.startswith("=") else f"+{text}"
