-- KEYS: change_feed_read_at, change_feed_in_sync_until, confirmed_at, last_refresh, paused_by
-- ARGV: read_at (ms), how long the reading is valid (ms), "1" if the cache has all changes
-- Returns 1 if the cache is in sync now
local latest = redis.call("TIME")[1] * 1000 + 5000
local function advance(key, value, latest_valid) -- later values are from a clock that was ahead
  local stored = tonumber(redis.call("GET", key) or 0)
  if stored < tonumber(value) or stored > latest_valid then redis.call("SET", key, value) end
end
advance(KEYS[1], ARGV[1], latest)
if ARGV[3] ~= "1" or redis.call("EXISTS", KEYS[4]) == 0 then return 0 end
if redis.call("EXISTS", KEYS[5]) == 1 then return 0 end -- a rollback's snapshot is published
advance(KEYS[2], ARGV[1] + ARGV[2], latest + ARGV[2])
advance(KEYS[3], ARGV[1], latest)
return 1
