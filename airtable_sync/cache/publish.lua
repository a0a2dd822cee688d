-- Writes entries. Every write to the cache uses this script.
--
-- Of two readings of a number the one with the later read_at stays, whichever is written last. A full
-- refresh counts as a reading of every number: an older reading cannot add a number that the refresh
-- did not have. While publishing is paused, what the rollback wrote stays. An override wins over all
-- readings until it ends, or until another override replaces it.
-- Changed entries get a new sequence in the index, and the replicas get one notification. The script is
-- atomic: no reader sees an entry without its place in the index.
--
-- KEYS: index (sorted set: number -> sequence), sequence, epoch, paused_by, last_refresh, known_numbers
--       (set), record_index, then one key per entry
-- ARGV: channel ("" for no notification), an epoch for an empty Redis, "1" to announce unchanged entries
--       too, then per entry: number, value, read_at (ms), digest, "1" if known, time to live (ms), origin
-- Returns two items per entry: the outcome (added, changed, unchanged, removed, unknown, older), and the
-- previous value if the outcome is changed or removed

local FIXED_KEYS, FIXED_ARGS, ARGS_PER_ENTRY = 7, 3, 7
local CLOCK_TOLERANCE_MS = 5000
local index, sequence_key, epoch_key = KEYS[1], KEYS[2], KEYS[3]
local channel, announce_all = ARGV[1], ARGV[3] == "1"
local paused = redis.call("EXISTS", KEYS[4]) == 1
local has_record_index = redis.call("EXISTS", KEYS[7]) == 1

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Not confirmed_at: the change feed moves that forward while an earlier refresh may still refill Redis.
local last_refresh = redis.call("GET", KEYS[5])
local last_refresh_at = last_refresh and cjson.decode(last_refresh)[1] or 0
if last_refresh_at > now + CLOCK_TOLERANCE_MS then last_refresh_at = 0 end -- from a clock that was ahead

local function stored(key) -- nil for a value of another format, as if it were absent
  local value = redis.pcall("GET", key)
  if type(value) ~= "string" then return nil end
  local ok, entry = pcall(cjson.decode, value)
  if not ok or type(entry) ~= "table" or type(entry.read_at) ~= "number" then return nil end
  -- Written by a process whose clock was ahead while Redis was down: it would win for too long.
  if entry.read_at > now + CLOCK_TOLERANCE_MS then return nil end
  return entry, value
end

local function has_override(old)
  return old ~= nil and type(old.override_until) == "number" and old.override_until > now
end

local function outcome(old, read_at, digest, known, origin)
  local is_override = origin == "override"
  if has_override(old) and not is_override then return "older" end
  -- An override replaces any reading, even a newer one; another override only if that is not newer.
  local compare = has_override(old) or not is_override
  if old and compare and old.read_at > read_at then return "older" end
  local was_known = old and old.config ~= cjson.null and old.config ~= nil
  local rolled_back = was_known and paused and old.origin == "rollback"
  if rolled_back and origin ~= "rollback" and not is_override then return "older" end
  local is_outdated = read_at < last_refresh_at and not is_override
  if known and not was_known then return is_outdated and "older" or "added" end
  if known then return old.digest == digest and "unchanged" or "changed" end
  if was_known then return "removed" end
  return old and "unchanged" or "unknown"
end

-- Without the sequence key Redis was emptied. The sequence would start again at one, where replicas do
-- not look: a new epoch makes them load everything.
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
  local result = outcome(old, read_at, ARGV[at + 4], ARGV[at + 5] == "1", ARGV[at + 7])
  if result ~= "older" then
    redis.call("SET", key, value, "PX", ARGV[at + 6])
    if has_record_index then index_by_records(KEYS[7], number, before, value) end
    if ARGV[at + 5] == "1" then
      redis.call("SADD", KEYS[6], number)
    elseif ARGV[at + 7] ~= "override" then -- an operator dropped the entry: Airtable may have the number
      redis.call("SREM", KEYS[6], number)
    end
    if result ~= "unchanged" or announce_all or not redis.call("ZSCORE", index, number) then
      sequence = sequence or redis.call("INCR", sequence_key)
      redis.call("ZADD", index, sequence, number)
      announced = announced + 1
    end
  end
  results[#results + 1] = result
  results[#results + 1] = (result == "changed" or result == "removed") and before or ""
end
if announced > 0 and channel ~= "" then
  redis.call("PUBLISH", channel, redis.call("GET", epoch_key) .. ":" .. sequence)
end
return results
