-- Gives out places for requests to Airtable: never more than so many starts in any window.
--
-- A place is for now: whoever has to wait asks again then, since a sleeper wakes up late and its
-- request would no longer be where the list says. A refresh leaves some places to calls as long as
-- there are calls, and calls leave it one when it has had none for two windows.
--
-- KEYS: the list of the last starts (ms), newest first; "calls ask"; when a refresh had a place last;
--       "a refresh waits"; why and until when Airtable is not to be asked at all; the count of this
--       month's requests
-- ARGV: starts per window, window (ms), "1" for a call, starts left to calls, for how long a call
--       is remembered (ms), requests to count if a place is given, for how long the count is kept (s),
--       what the caller has to wait in any case (ms)
-- Returns 0, "" and the start as it is in the list if the place is the caller's; the ms to wait and "" if there is none yet; the ms
-- to wait and the reason if Airtable is not to be asked at all

local list, calls_ask, refreshed_at, refresh_waits = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local starts, window, is_call = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == "1"

local reason = redis.call("GET", KEYS[5])
if reason then return {redis.call("PTTL", KEYS[5]), reason} end

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local newest = tonumber(redis.call("LINDEX", list, 0) or 0)
if newest > now + window then redis.call("DEL", list) end -- the clock was set back

local usable = starts
if is_call then
  redis.call("SET", calls_ask, "1", "PX", ARGV[5])
  if redis.call("EXISTS", refresh_waits) == 1 then usable = starts - 1 end
elseif now - tonumber(redis.call("GET", refreshed_at) or 0) > 2 * window then
  redis.call("SET", refresh_waits, "1", "PX", 2 * window)
elseif redis.call("EXISTS", calls_ask) == 1 then
  usable = starts - tonumber(ARGV[4])
end

local earliest = tonumber(redis.call("LINDEX", list, math.max(1, usable) - 1) or 0) + window
earliest = math.max(earliest, now + tonumber(ARGV[8]))
if earliest > now then return {earliest - now, ""} end
redis.call("LPUSH", list, now)
redis.call("LTRIM", list, 0, starts - 1)
redis.call("PEXPIRE", list, window)
if not is_call then
  redis.call("SET", refreshed_at, now, "PX", 10 * window)
  redis.call("DEL", refresh_waits)
end
redis.call("INCRBY", KEYS[6], ARGV[6])
redis.call("EXPIRE", KEYS[6], ARGV[7])
return {0, "", now}
