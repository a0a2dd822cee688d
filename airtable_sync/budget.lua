-- Gives out places for requests to Airtable: never more than so many starts in any window.
--
-- Calls may reserve a place to come; a refresh takes a place only if there is one now, and leaves
-- some to calls as long as there are calls.
--
-- KEYS: the list of the last starts (ms), newest first; when a call asked last; why and until when
--       Airtable is not to be asked at all; the count of this month's requests
-- ARGV: starts per window, window (ms), the longest acceptable wait (ms), "1" for a call, starts
--       left to calls, for how long a call is remembered (ms), for how long the count is kept (s)
-- Returns the wait (ms) before the place that is now the caller's; or -1 and how long it would be,
-- or -2, the reason and the remaining ms

local starts, window, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local is_call, reserved = ARGV[4] == "1", tonumber(ARGV[5])

local reason = redis.call("GET", KEYS[3])
if reason then return {-2, reason, redis.call("PTTL", KEYS[3])} end

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if is_call then
  redis.call("SET", KEYS[2], "1", "PX", ARGV[6])
elseif redis.call("EXISTS", KEYS[2]) == 1 then
  starts = math.max(1, starts - reserved)
end

local earliest = tonumber(redis.call("LINDEX", KEYS[1], starts - 1) or 0) + window
local newest = tonumber(redis.call("LINDEX", KEYS[1], 0) or 0)
local start = math.max(now, earliest, newest)
if start - now > (is_call and longest or 0) then return {-1, start - now, 0} end
redis.call("LPUSH", KEYS[1], start)
redis.call("LTRIM", KEYS[1], 0, tonumber(ARGV[1]) - 1)
redis.call("PEXPIRE", KEYS[1], start - now + window)
redis.call("INCR", KEYS[4])
redis.call("EXPIRE", KEYS[4], ARGV[7])
return {start - now, "", 0}
