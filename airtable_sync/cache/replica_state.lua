-- What a replica has to know to be in step, at one instant.
--
-- KEYS: index, epoch, confirmed_at, hold, in step until, known
-- ARGV: the epoch and the sequence the replica has
-- Returns the epoch ("" for an emptied Redis), confirmed_at, the time (ms), 1 if a rollback holds,
-- until when the change feed is in step (ms), how many numbers there are, "1" if everything there is
-- follows and not only what changed, and number, sequence, … of that. Everything follows if this is
-- another life of Redis, or an earlier moment of the same one (an older copy took over)

local epoch = redis.call("GET", KEYS[2]) or ""
local newest = redis.call("ZREVRANGE", KEYS[1], 0, 0, "WITHSCORES")
local same = epoch ~= "" and epoch == ARGV[1] and tonumber(newest[2] or 0) >= tonumber(ARGV[2])
local since = same and "(" .. ARGV[2] or "-inf"
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local confirmed_at = redis.call("GET", KEYS[3]) or "0"
local changed = redis.call("ZRANGEBYSCORE", KEYS[1], since, "+inf", "WITHSCORES")
local held = redis.call("EXISTS", KEYS[4])
local until_, numbers = redis.call("GET", KEYS[5]) or "0", redis.call("SCARD", KEYS[6])
return {epoch, confirmed_at, now, held, until_, numbers, same and "0" or "1", changed}
