-- Adds the counts of a process to those of all processes. Each process numbers what it sends: a batch that
-- is sent twice is added once.
--
-- KEYS: the number of this process's last batch; the totals; unknown called numbers by their last call
--       (sorted set), and their number of calls (hash); then per minute: the hash of its hour and of its day
-- ARGV: the batch's number; how long minutes are kept (s); how many unknown numbers are kept; how many exact
--       values; the unknown numbers called, as JSON {number: [calls, last call (ms)]}; what to add to the totals;
--       then per minute: the minute of the hour, the quarter hour of the day, what to add (a list: exact values)

local kept = ARGV[2]
if tonumber(redis.call("GET", KEYS[1]) or 0) >= tonumber(ARGV[1]) then return 0 end
redis.call("SET", KEYS[1], ARGV[1], "EX", kept)

local function few(values, more)
  for _, value in ipairs(more) do values[#values + 1] = value end
  if #values <= tonumber(ARGV[4]) then return values end
  return {math.max(unpack(values))}
end

local function add(key, field, more)
  local sums = cjson.decode(redis.call("HGET", key, field) or "{}")
  for name, count in pairs(more) do
    if type(count) == "table" then
      sums[name] = few(sums[name] or {}, count)
    else
      sums[name] = (sums[name] or 0) + count
    end
  end
  redis.call("HSET", key, field, cjson.encode(sums))
  redis.call("EXPIRE", key, kept)
end

local names, counts = {}, {}
for name, count in pairs(cjson.decode(ARGV[6])) do
  names[#names + 1], counts[#counts + 1] = name, count
end
if #names > 0 then
  local totals, sums = redis.call("HMGET", KEYS[2], unpack(names)), {}
  for i, name in ipairs(names) do
    sums[2 * i - 1], sums[2 * i] = name, string.format("%.0f", tonumber(totals[i] or 0) + counts[i])
  end
  redis.call("HSET", KEYS[2], unpack(sums))
end

for i = 1, (#KEYS - 4) / 2 do
  local more = cjson.decode(ARGV[6 + 3 * i])
  add(KEYS[3 + 2 * i], ARGV[4 + 3 * i], more)
  add(KEYS[4 + 2 * i], ARGV[5 + 3 * i], more)
end

for number, called in pairs(cjson.decode(ARGV[5])) do
  redis.call("HINCRBY", KEYS[4], number, called[1])
  redis.call("ZADD", KEYS[3], "GT", called[2], number)
end
local excess = redis.call("ZCARD", KEYS[3]) - tonumber(ARGV[3])
if excess > 0 then
  redis.call("HDEL", KEYS[4], unpack(redis.call("ZRANGE", KEYS[3], 0, excess - 1)))
  redis.call("ZREMRANGEBYRANK", KEYS[3], 0, excess - 1)
end
return 1
