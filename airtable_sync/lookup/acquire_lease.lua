-- Decides which process looks a number up. It holds the number's lease and renews it while it works, so
-- that another process soon replaces one that was killed.
--
-- KEYS: per number its lease and its entry
-- ARGV: the process's token, the lease's duration (ms)
-- Returns per number: "1" if this process has the lease, else "0"; the lease's remaining ms; the entry or ""

local token, duration = ARGV[1], ARGV[2]
local results = {}
for i = 1, #KEYS, 2 do
  local holder = redis.call("GET", KEYS[i])
  local acquired = (not holder or holder == token) and "1" or "0"
  if acquired == "1" then redis.call("SET", KEYS[i], token, "PX", duration) end
  results[#results + 1] = acquired
  results[#results + 1] = redis.call("PTTL", KEYS[i])
  results[#results + 1] = redis.call("GET", KEYS[i + 1]) or ""
end
return results
