"""Publishing a complete set of entries to Redis, from `begin` to `complete`."""

import secrets
from collections.abc import Iterable

from airtable_sync.cache import keys
from airtable_sync.cache.chunks import chunks
from airtable_sync.cache.keys import entry_key
from airtable_sync.cache.redis_store import RedisStore

_COMPLETE = """
-- KEYS: confirmed_at, sequence, last_refresh, change_feed_in_sync_until, publication, epoch
-- ARGV: read_at (ms), fingerprint ("" for a rollback), channel, the publication's token
-- Returns 0 if Redis has lost the token, and with it perhaps entries
if redis.call("GET", KEYS[5]) ~= ARGV[4] then return 0 end
local latest = redis.call("TIME")[1] * 1000 + 5000 -- later ones are from a clock that was ahead
local confirmed_at = tonumber(redis.call("GET", KEYS[1]) or 0)
if confirmed_at < tonumber(ARGV[1]) or confirmed_at > latest then
  redis.call("SET", KEYS[1], ARGV[1])
end
local last_refresh = redis.call("GET", KEYS[3])
local last_refresh_at = last_refresh and cjson.decode(last_refresh)[1] or 0
-- Two refreshes run at once if Redis lost the lock of one. The older one may finish last.
local is_newest = last_refresh_at <= tonumber(ARGV[1]) or last_refresh_at > latest
if ARGV[2] == "" then
  redis.call("DEL", KEYS[3], KEYS[4])
elseif is_newest then
  redis.call("SET", KEYS[3], cjson.encode({tonumber(ARGV[1]), ARGV[2]}))
end
local epoch, sequence = redis.call("GET", KEYS[6]) or "", redis.call("INCR", KEYS[2])
redis.call("PUBLISH", ARGV[3], epoch .. ":" .. sequence)
return 1
"""
_CONFIRM = """
local latest = redis.call("TIME")[1] * 1000 + 5000 -- later ones are from a clock that was ahead
local confirmed_at = tonumber(redis.call("GET", KEYS[1]) or ARGV[1])
if confirmed_at < tonumber(ARGV[1]) or confirmed_at > latest then
  redis.call("SET", KEYS[1], ARGV[1])
end
"""
_EXTEND = """
local known = 0
for i = 1, #KEYS do
  local value = redis.pcall("GET", KEYS[i])
  local ok, entry = pcall(cjson.decode, type(value) == "string" and value or "")
  if ok and type(entry) == "table" and type(entry.config) == "table" then
    local left = redis.call("PTTL", KEYS[i]) -- an override's time to live is longer
    redis.call("PEXPIRE", KEYS[i], math.max(ARGV[1], left))
    known = known + 1
  end
end
return known
"""
_KEEP = """
-- KEYS: publication, known_numbers, then one key per entry; ARGV: time to live (ms), the numbers
redis.call("PEXPIRE", KEYS[1], ARGV[1])
for i = 3, #KEYS do
  local left = redis.call("PTTL", KEYS[i])
  local is_short = left >= 0 and left < tonumber(ARGV[1])
  if is_short and redis.call("SISMEMBER", KEYS[2], ARGV[i - 1]) == 0 then
    redis.call("PEXPIRE", KEYS[i], ARGV[1])
  end
end
"""
_FORGET = """
for i = 3, #KEYS do
  if redis.call("EXISTS", KEYS[i]) == 0 then
    redis.call("ZREM", KEYS[1], ARGV[i - 2])
    redis.call("SREM", KEYS[2], ARGV[i - 2])
  end
end
"""
_COMPLETE_KEYS = (
    keys.CONFIRMED_AT,
    keys.SEQUENCE,
    keys.LAST_REFRESH,
    keys.IN_SYNC_UNTIL,
    keys.PUBLICATION,
    keys.EPOCH,
)


class RedisPublication:
    """Raises CacheUnavailable."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    def begin(self) -> str:
        """A token that stays in Redis as long as Redis keeps what is published from now on."""
        token = secrets.token_hex(8)
        self._store.set(keys.PUBLICATION, token, self._store.lifetimes.tombstone_seconds)
        return token

    def complete(self, read_at: int, token: str, fingerprint: str) -> bool:
        """All entries were written since `begin` returned the token: they are confirmed as of
        `read_at` (ms), and the replicas are notified. False, and nothing is done, if Redis lost the
        token: replicas would take what was lost with it for removed. `fingerprint` is empty for a
        set that is not what Airtable has now (a rollback)."""
        channel = self._store.full_key(keys.CHANNEL)
        expected = self._store.encode_value(token)
        arguments = [read_at, fingerprint, channel, expected]
        return bool(self._store.run_script(_COMPLETE, _COMPLETE_KEYS, arguments))

    def confirm(self, read_at: int) -> None:
        """Nothing changed up to `read_at` (ms). Replicas notice within half a minute."""
        self._store.run_script(_CONFIRM, [keys.CONFIRMED_AT], [read_at])

    def extend_all(self) -> int:
        """Give every known entry its full time to live again. Returns how many there are."""
        time_to_live = int(self._store.lifetimes.reading_seconds(is_known=True) * 1000)
        return sum(
            self._store.run_script(_EXTEND, [entry_key(n) for n in chunk], [time_to_live])
            for chunk in chunks(self._store.all_indexed())
        )

    def keep_tombstones(self) -> None:
        """Give every removed or unknown number its full time to live again."""
        time_to_live = int(self._store.lifetimes.reading_seconds(is_known=False) * 1000)
        for chunk in chunks(self._store.all_indexed()):
            names = [keys.PUBLICATION, keys.KNOWN_NUMBERS, *map(entry_key, chunk)]
            self._store.run_script(_KEEP, names, [time_to_live, *chunk])

    def forget_expired(self, numbers: Iterable[str]) -> None:
        """Remove numbers from the index whose entries have expired, unless they are back."""
        for chunk in chunks(numbers):
            names = [keys.INDEX, keys.KNOWN_NUMBERS, *(entry_key(number) for number in chunk)]
            self._store.run_script(_FORGET, names, chunk)
