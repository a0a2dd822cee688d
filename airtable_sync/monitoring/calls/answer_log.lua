-- Writes answers into the answer log, which keeps a limited number for a limited time. A config is stored
-- once, under its digest, as long as an answer refers to it.
--
-- KEYS: the log (sorted set: answer -> time, ms), configs by digest, the count of references to each
-- ARGV: answers kept; how long (ms); the configs as JSON {digest: config}; the answers as JSON
--       [[time, digest and answer], …]; answers to erase as JSON [digest and answer, …]

local log, configs, references = KEYS[1], KEYS[2], KEYS[3]
local kept_ms = tonumber(ARGV[2])

local function digest_of(answer) return string.sub(answer, 1, 16) end

local function erase(answers)
  for _, answer in ipairs(answers) do
    local digest = digest_of(answer)
    if redis.call("ZREM", log, answer) == 1 and redis.call("HINCRBY", references, digest, -1) <= 0 then
      redis.call("HDEL", references, digest)
      redis.call("HDEL", configs, digest)
    end
  end
end

local new_configs = cjson.decode(ARGV[3])
for _, each in ipairs(cjson.decode(ARGV[4])) do
  local digest = digest_of(each[2])
  if redis.call("ZADD", log, each[1], each[2]) == 1 then
    if redis.call("HINCRBY", references, digest, 1) == 1 then
      redis.call("HSET", configs, digest, new_configs[digest])
    end
  end
end

erase(cjson.decode(ARGV[5]))
local excess = redis.call("ZCARD", log) - tonumber(ARGV[1])
if excess > 0 then erase(redis.call("ZRANGE", log, 0, excess - 1)) end
local time = redis.call("TIME")
local oldest = time[1] * 1000 - kept_ms
erase(redis.call("ZRANGEBYSCORE", log, "-inf", oldest, "LIMIT", 0, 1000))
for _, key in ipairs(KEYS) do redis.call("PEXPIRE", key, kept_ms) end
return 1
