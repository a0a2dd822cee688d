"""What processes tell each other about the change feed, in Redis."""

from airtable_sync.store import CHANNEL, COMPLETE_AT, COMPLETE_NUMBERS, IN_STEP_UNTIL, PINGED, Store

# By when the feed was read to its end (ms).
DRAINED_AT = "feed_drained_at"
LEADER = "feed_leader"  # the process that reads the feed
WANTED_AT = "feed_wanted_at"  # when a ping last asked for it to be read (ms)
PING_REMEMBERED_SECONDS = 24 * 3600  # Airtable repeats one for so long

_IN_STEP = """
-- KEYS: drained at, in step until, complete at, complete numbers
-- ARGV: asked at (ms), valid for (ms), numbers gained
local function raise(key, value)
  if tonumber(redis.call("GET", key) or 0) < tonumber(value) then redis.call("SET", key, value) end
end
if redis.call("EXISTS", KEYS[3]) == 0 then return 0 end -- there is no set to be in step
raise(KEYS[1], ARGV[1])
raise(KEYS[2], ARGV[1] + ARGV[2])
raise(KEYS[3], ARGV[1])
if ARGV[3] ~= "0" then redis.call("INCRBY", KEYS[4], ARGV[3]) end
return 1
"""
_LEAD = """
-- KEYS: leader, wanted at, drained at
-- ARGV: token, for how long (ms)
-- Returns 1 if the token's process leads; when a ping last asked; by when the feed was read
local holder = redis.call("GET", KEYS[1])
local ours = (not holder or holder == ARGV[1]) and 1 or 0
if ours == 1 then redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2]) end
return {ours, redis.call("GET", KEYS[2]) or "0", redis.call("GET", KEYS[3]) or "0"}
"""
_PING = """
-- KEYS: this ping, wanted at
-- ARGV: for how long it is remembered (s), channel, message
-- Returns 1 unless it was here before
if not redis.call("SET", KEYS[1], "1", "EX", ARGV[1], "NX") then return 0 end
local time = redis.call("TIME")
redis.call("SET", KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000))
redis.call("PUBLISH", ARGV[2], ARGV[3])
return 1
"""
_STEP_DOWN = """
if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end
return 0
"""


def in_step(store: Store, asked_at: int, valid_for_seconds: float, gained: int) -> None:
    """The feed was read to its end: what is cached is what Airtable had at `asked_at` (ms)."""
    names = [DRAINED_AT, IN_STEP_UNTIL, COMPLETE_AT, COMPLETE_NUMBERS]
    store.run(_IN_STEP, names, [asked_at, int(valid_for_seconds * 1000), gained])


def lead(store: Store, token: str, seconds: float) -> tuple[bool, bool]:
    """Whether this process is the one to read the feed, for so long; and whether a ping came that
    was not followed yet."""
    names = [LEADER, WANTED_AT, DRAINED_AT]
    ours, wanted_at, drained_at = store.run(_LEAD, names, [token, int(seconds * 1000)])
    return ours == 1, int(float(wanted_at)) > int(float(drained_at))


def step_down(store: Store, token: str) -> None:
    store.run(_STEP_DOWN, [LEADER], [token])


def pinged(store: Store, ping: str) -> bool:
    """Tell the leader. False for a ping that was here before."""
    arguments: list[str | int] = [PING_REMEMBERED_SECONDS, store.raw(CHANNEL), PINGED]
    return bool(store.run(_PING, [f"ping:{ping}", WANTED_AT], arguments))
