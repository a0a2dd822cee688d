"""The record index: which entries in Redis may be made from a record of Airtable. An edit finds its
entries by it without a search through all of them.

It is 4,093 sets of numbers. `publish.lua` puts an entry into the set of each of its records. The
sets are small and of integers, which Redis keeps as sorted arrays: eight bytes for each record of
an entry. https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/memory-optimization/"""

from collections.abc import Iterable

from airtable_sync.cache import keys

SETS = 4093  # a prime
_FACTOR, _BYTES = 131, 8  # of the hash, and how much of an id it takes
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


def joined_ids(records: Iterable[str]) -> bytes:
    """The ids of records ("table/rec…"), as `publish.lua` takes them: separated by spaces."""
    return " ".join(record.rpartition("/")[2] for record in records).encode("utf-8", "replace")


def set_of(record_id: str) -> str:
    """The name of the set that has the entries made from this record, as in `publish.lua`."""
    place = 0
    for byte in record_id.encode("utf-8", "replace")[-_BYTES:]:
        place = (place * _FACTOR + byte) % SETS
    return f"{keys.RECORD_INDEX}{place}"


def all_sets() -> list[str]:
    return [f"{keys.RECORD_INDEX}{place}" for place in range(SETS)]


def number_of(member: bytes) -> str:
    """The number, or the contact's key, that `publish.lua` has put into a set."""
    text = member.decode()
    return text[1:] if text.startswith("=") else f"+{text}"
