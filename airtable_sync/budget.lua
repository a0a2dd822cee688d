-- Gives out places for requests to Airtable: never more than so many starts in any window.
--
-- A place is for now: whoever has to wait asks again then, since a sleeper wakes up late and its
-- request would no longer be where the list says. A refresh leaves some places to calls as long as
-- there are calls.
--
-- KEYS: the list of the last starts (ms), newest first; when a call asked last; why and until when
--       Airtable is not to be asked at all; the count of this month's requests
-- ARGV: starts per window, window (ms), "1" for a call, starts left to calls, for how long a call
--       is remembered (ms), for how long the count is kept (s)
-- Returns 0 and "" if the place is the caller's; the ms to wait and "" if there is none yet; the ms
-- to wait and the reason if Airtable is not to be asked at all

local starts, window, reserved = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])

local reason = redis.call("GET", KEYS[3])
if reason then return {redis.call("PTTL", KEYS[3]), reason} end

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[3] == "1" then
  redis.call("SET", KEYS[2], "1", "PX", ARGV[5])
elseif redis.call("EXISTS", KEYS[2]) == 1 then
  starts = math.max(1, starts - reserved)
end

local earliest = tonumber(redis.call("LINDEX", KEYS[1], starts - 1) or 0) + window
if earliest > now then return {math.min(earliest - now, window), ""} end
redis.call("LPUSH", KEYS[1], now)
redis.call("LTRIM", KEYS[1], 0, tonumber(ARGV[1]) - 1)
redis.call("PEXPIRE", KEYS[1], window)
redis.call("INCR", KEYS[4])
redis.call("EXPIRE", KEYS[4], ARGV[6])
return {0, ""}
