--[[
remove_subscription: end a subscription. Events dispatched from now on pass it by; its open deliveries end as cancelled
when they are next looked at.

KEYS
  1  prefix of the bus
     Reads and writes below it: subscriptions, subscriptions:version
ARGV
  1  name
RETURNS
  its row, or nil when there was none
]]
local row = redis.call("HGET", KEYS[1] .. ":subscriptions", ARGV[1])
if row then
  redis.call("HDEL", KEYS[1] .. ":subscriptions", ARGV[1])
  redis.call("INCR", KEYS[1] .. ":subscriptions:version")
end
return row
