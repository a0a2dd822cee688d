-- Renews leases, or gives them back, where they are still ours.
--
-- KEYS: leases
-- ARGV: the process's token, for how long they shall be held from now on (ms; 0 gives them back),
--       the channel, and what is told there ("" for nothing): that a lookup failed

for i = 1, #KEYS do
  if redis.call("GET", KEYS[i]) == ARGV[1] then
    if ARGV[2] == "0" then redis.call("DEL", KEYS[i]) else redis.call("PEXPIRE", KEYS[i], ARGV[2]) end
  end
end
if ARGV[4] ~= "" then redis.call("PUBLISH", ARGV[3], ARGV[4]) end
return #KEYS
