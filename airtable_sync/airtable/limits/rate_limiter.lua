-- Gives permits for requests to Airtable: never more starts than allowed in any window.
--
-- A permit is valid immediately. A process that has to wait asks again later: it wakes up late, and its start
-- would no longer match the list. While calls ask, a refresh leaves some starts to them. Calls leave one
-- start to a refresh that has had none for two windows.
--
-- KEYS: the last starts (list, ms, newest first); "calls are asking"; when a refresh last had a permit;
--       "a refresh is waiting"; why and until when Airtable must not be asked; this month's requests
-- ARGV: starts per window; window (ms); "1" for a call; starts left to calls; how long a call is
--       remembered (ms); requests to count with the permit; how long the count is kept (s); the least wait (ms)
-- Returns {0, "", start (ms)} with a permit; {ms to wait, ""} without; {ms, reason} if Airtable must not be
-- asked at all

local starts_key, calls_asking, refreshed_at, refresh_waiting = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local starts, window, is_call = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == "1"

local reason = redis.call("GET", KEYS[5])
if reason then return {redis.call("PTTL", KEYS[5]), reason} end

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local newest = tonumber(redis.call("LINDEX", starts_key, 0) or 0)
if newest > now + window then redis.call("DEL", starts_key) end -- the clock was set back

local usable = starts
if is_call then
  redis.call("SET", calls_asking, "1", "PX", ARGV[5])
  if redis.call("EXISTS", refresh_waiting) == 1 then usable = starts - 1 end
elseif now - tonumber(redis.call("GET", refreshed_at) or 0) > 2 * window then
  redis.call("SET", refresh_waiting, "1", "PX", 2 * window)
elseif redis.call("EXISTS", calls_asking) == 1 then
  usable = starts - tonumber(ARGV[4])
end

local earliest = tonumber(redis.call("LINDEX", starts_key, math.max(1, usable) - 1) or 0) + window
earliest = math.max(earliest, now + tonumber(ARGV[8]))
if earliest > now then return {earliest - now, ""} end
redis.call("LPUSH", starts_key, now)
redis.call("LTRIM", starts_key, 0, starts - 1)
redis.call("PEXPIRE", starts_key, window)
if not is_call then
  redis.call("SET", refreshed_at, now, "PX", 10 * window)
  redis.call("DEL", refresh_waiting)
end
redis.call("INCRBY", KEYS[6], ARGV[6])
redis.call("EXPIRE", KEYS[6], ARGV[7])
return {0, "", now}
