-- Gives out places for requests to Airtable: never more than so many starts in any window.
--
-- KEYS: the list of the last starts (ms), newest first
-- ARGV: starts per window, window (ms), the longest acceptable wait (ms)
-- Returns the wait (ms) before the place that is now the caller's, or -1 if it would be too long

local starts, window, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local earliest = tonumber(redis.call("LINDEX", KEYS[1], starts - 1) or 0) + window
local start = math.max(now, earliest)
if start - now > longest then return -1 end
redis.call("LPUSH", KEYS[1], start)
redis.call("LTRIM", KEYS[1], 0, starts - 1)
redis.call("PEXPIRE", KEYS[1], start - now + window)
return start - now
