-- What a replica has to know to be in step, at one instant.
--
-- KEYS: index, epoch, complete_at
-- ARGV: the epoch and the sequence the replica has
-- Returns the epoch ("" for an emptied Redis), complete_at, the time (ms), and number, sequence, …
-- of everything that changed since; of everything there is if the epoch is another one

local epoch = redis.call("GET", KEYS[2]) or ""
local since = epoch == ARGV[1] and "(" .. ARGV[2] or "-inf"
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local complete_at = redis.call("GET", KEYS[3]) or "0"
local changed = redis.call("ZRANGEBYSCORE", KEYS[1], since, "+inf", "WITHSCORES")
return {epoch, complete_at, now, changed}
