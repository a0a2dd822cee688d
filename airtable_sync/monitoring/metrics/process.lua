-- Says that a process lives, and how it is; who has not said so for a while is gone.
--
-- KEYS: processes by when they were heard of last (sorted set, ms), their states (hash)
-- ARGV: the process's id, its state ("": it ends), for how long it is believed to live (ms)

local time = redis.call("TIME")
local now, life = time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[3])

local function part_with(id)
  redis.call("ZREM", KEYS[1], id)
  redis.call("HDEL", KEYS[2], id)
end

if ARGV[2] == "" then
  part_with(ARGV[1])
else
  redis.call("ZADD", KEYS[1], now, ARGV[1])
  redis.call("HSET", KEYS[2], ARGV[1], ARGV[2])
end
for _, id in ipairs(redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", now - life)) do part_with(id) end
for _, key in ipairs(KEYS) do redis.call("PEXPIRE", key, life) end
return 1
