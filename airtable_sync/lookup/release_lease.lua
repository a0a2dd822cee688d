-- Extends or releases leases that this process holds.
--
-- KEYS: leases
-- ARGV: the process's token; the new duration (ms; 0 releases them); the channel; a message ("" for none)

for i = 1, #KEYS do
  if redis.call("GET", KEYS[i]) == ARGV[1] then
    if ARGV[2] == "0" then redis.call("DEL", KEYS[i]) else redis.call("PEXPIRE", KEYS[i], ARGV[2]) end
  end
end
if ARGV[4] ~= "" then redis.call("PUBLISH", ARGV[3], ARGV[4]) end
return #KEYS
