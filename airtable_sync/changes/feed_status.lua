-- KEYS: last_refresh, change_feed_read_at, paused_by, change_feed_denied, known_numbers
-- Returns: the time (ms), the last full refresh (ms, 0 for none) and its fingerprint, when the feed was
-- read (ms), 1 if publishing is paused, 1 if Airtable denied webhooks, the count of known numbers
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last_refresh = redis.call("GET", KEYS[1])
local refresh = last_refresh and cjson.decode(last_refresh) or {0, ""}
if refresh[1] > now + 5000 then refresh = {0, ""} end -- from a clock that was ahead
local read_at = redis.call("GET", KEYS[2]) or "0"
if tonumber(read_at) > now + 5000 then read_at = "0" end
return {
  now, refresh[1], refresh[2], read_at,
  redis.call("EXISTS", KEYS[3]), redis.call("EXISTS", KEYS[4]), redis.call("SCARD", KEYS[5]),
}
