-- KEYS: leader, change_feed_notified_at, change_feed_read_at
-- ARGV: token, duration of the lead (ms), after how long a silent leader is replaced while a notification
--       waits (ms): a live leader renews its lead when a notification comes, and while it works
-- Returns: 1 if this token leads; 1 if a notification came after the last reading; how long another
-- leader's lead lasts (ms)
local holder = redis.call("GET", KEYS[1])
local notified_at = tonumber(redis.call("GET", KEYS[2]) or 0)
local read_at = tonumber(redis.call("GET", KEYS[3]) or 0)
if read_at > redis.call("TIME")[1] * 1000 + 5000 then read_at = 0 end -- from a clock that was ahead
local has_new_notification = notified_at > read_at
local remaining = redis.call("PTTL", KEYS[1])
local is_gone = has_new_notification and ARGV[2] - remaining >= tonumber(ARGV[3])
local leads = not holder or holder == ARGV[1] or is_gone
if leads then redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2]) end
return {leads and 1 or 0, has_new_notification and 1 or 0, remaining}
