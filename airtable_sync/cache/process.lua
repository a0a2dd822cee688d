-- Registers a process and its state. Processes that have not registered for a while are removed.
--
-- KEYS: processes by their last heartbeat (sorted set, ms), their states (hash)
-- ARGV: the process's id, its state ("" when it ends), how long a heartbeat is valid (ms)

local time = redis.call("TIME")
local now, valid_ms = time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[3])

local function remove(id)
  redis.call("ZREM", KEYS[1], id)
  redis.call("HDEL", KEYS[2], id)
end

if ARGV[2] == "" then
  remove(ARGV[1])
else
  redis.call("ZADD", KEYS[1], now, ARGV[1])
  redis.call("HSET", KEYS[2], ARGV[1], ARGV[2])
end
for _, id in ipairs(redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", now - valid_ms)) do remove(id) end
for _, key in ipairs(KEYS) do redis.call("PEXPIRE", key, valid_ms) end
return 1
