-- What a replica needs to get in sync, read atomically.
--
-- KEYS: index, epoch, confirmed_at, paused_by, change_feed_in_sync_until, known_numbers
-- ARGV: the epoch and the sequence that the replica has
-- Returns: epoch ("" if Redis is empty), confirmed_at (ms), the time (ms), 1 if publishing is paused,
-- in_sync_until (ms), the count of known numbers, "1" if all entries follow ("0": only the changed ones),
-- and number, sequence, number, sequence, … All entries follow after another epoch, and after an earlier
-- state of the same epoch (an older copy of Redis took over).

local epoch = redis.call("GET", KEYS[2]) or ""
local newest = redis.call("ZREVRANGE", KEYS[1], 0, 0, "WITHSCORES")
local same = epoch ~= "" and epoch == ARGV[1] and tonumber(newest[2] or 0) >= tonumber(ARGV[2])
local since = same and "(" .. ARGV[2] or "-inf"
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local confirmed_at = redis.call("GET", KEYS[3]) or "0"
if tonumber(confirmed_at) > now + 5000 then confirmed_at = "0" end -- from a clock that was ahead
local changed = redis.call("ZRANGEBYSCORE", KEYS[1], since, "+inf", "WITHSCORES")
local paused = redis.call("EXISTS", KEYS[4])
local in_sync_until, numbers = redis.call("GET", KEYS[5]) or "0", redis.call("SCARD", KEYS[6])
return {epoch, confirmed_at, now, paused, in_sync_until, numbers, same and "0" or "1", changed}
