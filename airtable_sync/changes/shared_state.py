"""What processes tell each other about the change feed, in Redis."""

import secrets
from dataclasses import dataclass

from airtable_sync.cache.redis_store import (
    CHANNEL,
    CONFIRMED_AT,
    HOLD,
    IN_SYNC_UNTIL,
    KNOWN,
    LEADERLESS,
    PINGED,
    WHOLE,
    Store,
)
from airtable_sync.refresh import fingerprint

# By when the feed was read to its end (ms).
FEED_READ_AT = "feed_drained_at"
LEADER = "feed_leader"  # the process that reads the feed
WANTED_AT = "feed_wanted_at"  # when a ping last asked for it to be read (ms)
REFUSED = "feed_refused"  # Airtable has told that it grants no hook
PING_REMEMBERED_SECONDS = 24 * 3600  # Airtable repeats one for so long

_NOW = """
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""
_LOOK = (
    _NOW
    + """
-- KEYS: whole, drained at, hold, refused, known
local whole = redis.call("GET", KEYS[1])
local read = whole and cjson.decode(whole) or {0, ""}
return {
  now, read[1], read[2], redis.call("GET", KEYS[2]) or "0",
  redis.call("EXISTS", KEYS[3]), redis.call("EXISTS", KEYS[4]), redis.call("SCARD", KEYS[5]),
}
"""
)
_DRAINED = """
-- KEYS: drained at, in step until, complete at, whole, hold
-- ARGV: asked at (ms), valid for (ms), "1" if all that changed is cached
-- Returns 1 if the cache is in step now
local function advance(key, value)
  if tonumber(redis.call("GET", key) or 0) < tonumber(value) then redis.call("SET", key, value) end
end
advance(KEYS[1], ARGV[1])
if ARGV[3] ~= "1" or redis.call("EXISTS", KEYS[4]) == 0 then return 0 end
if redis.call("EXISTS", KEYS[5]) == 1 then return 0 end -- a rollback holds something else
advance(KEYS[2], ARGV[1] + ARGV[2])
advance(KEYS[3], ARGV[1])
return 1
"""
_LEAD = """
-- KEYS: leader, wanted at, drained at
-- ARGV: token, for how long (ms), after how long a silent leader is gone (ms) while a ping waits:
--       who lives renews its lead as soon as it hears of one, and while it works
-- Returns 1 if the token's process leads; 1 if a ping came that was not followed yet; for how long
-- another one leads (ms)
local holder = redis.call("GET", KEYS[1])
local wanted = tonumber(redis.call("GET", KEYS[2]) or 0)
local pinged = wanted > tonumber(redis.call("GET", KEYS[3]) or 0)
local left = redis.call("PTTL", KEYS[1])
local gone = pinged and ARGV[2] - left >= tonumber(ARGV[3])
local ours = not holder or holder == ARGV[1] or gone
if ours then redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2]) end
return {ours and 1 or 0, pinged and 1 or 0, left}
"""
_PING = (
    _NOW
    + """
-- KEYS: this ping, wanted at
-- ARGV: for how long it is remembered (s), channel, message
-- Returns 1 unless it was here before
if not redis.call("SET", KEYS[1], "1", "EX", ARGV[1], "NX") then return 0 end
redis.call("SET", KEYS[2], now)
redis.call("PUBLISH", ARGV[2], ARGV[3])
return 1
"""
)
_STEP_DOWN = """
-- KEYS: leader; ARGV: token, channel, message
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
redis.call("DEL", KEYS[1])
redis.call("PUBLISH", ARGV[2], ARGV[3])
return 1
"""


@dataclass(frozen=True, slots=True)
class Marks:
    """Times in milliseconds by Redis' clock."""

    now: int
    last_refresh_at: (
        int  # when all of Airtable was read into the cache; 0 if something else is there
    )
    feed_read_at: int
    held: bool  # by a rollback
    refused: bool
    numbers: int


@dataclass(frozen=True, slots=True)
class Lead:
    ours: bool
    pinged: bool  # a ping came that was not followed yet
    left_seconds: float  # of another's lead


def look(store: Store) -> Marks:
    names = [WHOLE, FEED_READ_AT, HOLD, REFUSED, KNOWN]
    now, last_refresh_at, reader, feed_read_at, held, refused, numbers = store.run(_LOOK, names, [])
    return Marks(
        now=int(now),
        last_refresh_at=int(last_refresh_at) if reader.decode() == fingerprint.reader() else 0,
        feed_read_at=int(float(feed_read_at)),
        held=held == 1,
        refused=refused == 1,
        numbers=int(numbers),
    )


def drained(store: Store, read_at: int, valid_for_seconds: float, *, whole: bool) -> bool:
    """The feed was read to its end. If `whole`, what is cached is what Airtable had at `read_at`
    (ms), unless a rollback holds; whether that is so."""
    names = [FEED_READ_AT, IN_SYNC_UNTIL, CONFIRMED_AT, WHOLE, HOLD]
    arguments: list[str | int] = [read_at, int(valid_for_seconds * 1000), int(whole)]
    return bool(store.run(_DRAINED, names, arguments))


def lead(store: Store, token: str, seconds: float, unheard_seconds: float) -> Lead:
    """Try to be the process that reads the feed, for so long."""
    arguments: list[str | int] = [token, int(seconds * 1000), int(unheard_seconds * 1000)]
    ours, pinged, left = store.run(_LEAD, [LEADER, WANTED_AT, FEED_READ_AT], arguments)
    return Lead(ours == 1, pinged == 1, max(0, left) / 1000)


def step_down(store: Store, token: str) -> None:
    store.run(_STEP_DOWN, [LEADER], [token, store.raw(CHANNEL), LEADERLESS])


def pinged(store: Store, ping: str) -> bool:
    """Tell the leader. False for a ping that was here before."""
    arguments: list[str | int] = [PING_REMEMBERED_SECONDS, store.raw(CHANNEL), PINGED]
    return bool(store.run(_PING, [f"ping:{ping}", WANTED_AT], arguments))


def want(store: Store) -> None:
    """Tell the leader of a ping that came while Redis was away."""
    pinged(store, secrets.token_hex(8))


def refused(store: Store, seconds: float) -> None:
    """Let no process ask Airtable for a hook for so long."""
    store.remember(REFUSED, 1, seconds)


def forgive(store: Store) -> None:
    store.drop(REFUSED)
