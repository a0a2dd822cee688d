-- Writes entries: the one way anything gets into the cache.
--
-- Of two readings of a number the one asked for later stays, whichever is written last, also if the
-- later one was of all of Airtable and did not have the number; what a rollback wrote stays until the
-- hold ends. A pin wins over all of these until it ends, or until another pin (one that has ended, to
-- remove it) takes its place. What is new gets into the index under a new sequence number, and the
-- replicas are nudged once. All of it happens at one instant: nobody sees an entry
-- without its place in the index.
--
-- KEYS: index (sorted set: number -> sequence), sequence, epoch, hold, whole (when all of Airtable was
--       read), known (set of the numbers that have a config), then a key per entry
-- ARGV: channel ("" for no nudge), an epoch for an empty Redis, "1" if unchanged entries shall be
--       announced too, then per entry: number, value, read_at (ms), digest, "1" if known, life (ms),
--       by whom it was read
-- Returns per entry a word (added, changed, unchanged, removed, unknown, older) and, where that is
-- changed or removed, the value there was before

local FIXED_KEYS, FIXED_ARGS, ARGS_PER_ENTRY = 6, 3, 7
local index, sequence_key, epoch_key = KEYS[1], KEYS[2], KEYS[3]
local channel, announce_all = ARGV[1], ARGV[3] == "1"
local held = redis.call("EXISTS", KEYS[4]) == 1

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Not `confirmed_at`: the change feed moves that on, while a refresh that began before gives back what
-- Redis has lost.
local whole = redis.call("GET", KEYS[5])
local last_refresh_at = whole and cjson.decode(whole)[1] or 0
if last_refresh_at > now + 5000 then last_refresh_at = 0 end -- by a clock that was ahead, as below

local function stored(key) -- nil for one of a foreign format: as good as absent
  local value = redis.pcall("GET", key)
  if type(value) ~= "string" then return nil end
  local ok, entry = pcall(cjson.decode, value)
  if not ok or type(entry) ~= "table" or type(entry.read_at) ~= "number" then return nil end
  -- Stamped by a clock that was ahead, when Redis was away: it would win for as long as that.
  if entry.read_at > now + 5000 then return nil end
  return entry, value
end

local function has_override(old)
  return old ~= nil and type(old.override_until) == "number" and old.override_until > now
end

local function outcome(old, read_at, digest, known, by)
  if has_override(old) and by ~= "pin" then return "older" end
  local both = has_override(old) or by ~= "pin" -- a pin wins over what is none, also if that is newer
  if old and both and old.read_at > read_at then return "older" end
  local was_known = old and old.config ~= cjson.null and old.config ~= nil
  local rolled_back = was_known and held and old.by == "rollback"
  if rolled_back and by ~= "rollback" and by ~= "pin" then return "older" end
  local is_outdated = read_at < last_refresh_at and by ~= "pin"
  if known and not was_known then return is_outdated and "older" or "added" end
  if known then return old.digest == digest and "unchanged" or "changed" end
  if was_known then return "removed" end
  return old and "unchanged" or "unknown"
end

-- A sequence that is gone begins again at one, where replicas would not look: another life of Redis.
if redis.call("EXISTS", sequence_key) == 0 then
  redis.call("SET", epoch_key, ARGV[2])
else
  redis.call("SET", epoch_key, ARGV[2], "NX")
end
local results, announced, sequence = {}, 0, nil
for i = 1, #KEYS - FIXED_KEYS do
  local key, at = KEYS[FIXED_KEYS + i], FIXED_ARGS + (i - 1) * ARGS_PER_ENTRY
  local number, value, read_at = ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  local old, before = stored(key)
  local word = outcome(old, read_at, ARGV[at + 4], ARGV[at + 5] == "1", ARGV[at + 7])
  if word ~= "older" then
    redis.call("SET", key, value, "PX", ARGV[at + 6])
    redis.call(ARGV[at + 5] == "1" and "SADD" or "SREM", KEYS[6], number)
    if word ~= "unchanged" or announce_all or not redis.call("ZSCORE", index, number) then
      sequence = sequence or redis.call("INCR", sequence_key)
      redis.call("ZADD", index, sequence, number)
      announced = announced + 1
    end
  end
  results[#results + 1] = word
  results[#results + 1] = (word == "changed" or word == "removed") and before or ""
end
if announced > 0 and channel ~= "" then
  redis.call("PUBLISH", channel, redis.call("GET", epoch_key) .. ":" .. sequence)
end
return results
