-- Decides who looks a number up. One process holds the lease of a number; it renews it while it
-- works, so that a killed one is replaced soon.
--
-- KEYS: per number its lease and its entry
-- ARGV: the process's token, the lease (ms)
-- Returns per number: "1" if the lease is ours now, else "0"; the lease's remaining ms; the entry or ""

local token, lease = ARGV[1], ARGV[2]
local results = {}
for i = 1, #KEYS, 2 do
  local holder = redis.call("GET", KEYS[i])
  local ours = (not holder or holder == token) and "1" or "0"
  if ours == "1" then redis.call("SET", KEYS[i], token, "PX", lease) end
  results[#results + 1] = ours
  results[#results + 1] = redis.call("PTTL", KEYS[i])
  results[#results + 1] = redis.call("GET", KEYS[i + 1]) or ""
end
return results
