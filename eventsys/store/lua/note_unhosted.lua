--[[
note_unhosted: note since when no living process hosts a subscription.

Who noted it first is right: noted again, the time stays, unless it lies ahead since the clock was set back.

KEYS
  1  prefix of the bus
     Reads and writes below it: subscriptions:unhosted
ARGV
  1    now_ms    the caller's clock
  2    count     how many of the names are not hosted
  3..  names     those that nobody hosts, then those that somebody does or that have ended
RETURNS
  how many are not hosted
]]
local unhosted = KEYS[1] .. ":subscriptions:unhosted"
local now_ms = tonumber(ARGV[1])

redis.call("DEL", KEYS[1] .. ":scratch")
for at = 3, #ARGV do
  if at < 3 + tonumber(ARGV[2]) then
    local since_ms = tonumber(redis.call("HGET", unhosted, ARGV[at]))
    if not since_ms or since_ms > now_ms then redis.call("HSET", unhosted, ARGV[at], ARGV[1]) end
  else
    redis.call("HDEL", unhosted, ARGV[at])
  end
end
return redis.call("HLEN", unhosted)
