--[[
note_unhosted: note since when no living process hosts a subscription.

Who noted it first is right: noted again, the time stays.

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

redis.call("DEL", KEYS[1] .. ":scratch")
for at = 3, #ARGV do
  if at < 3 + tonumber(ARGV[2]) then
    redis.call("HSETNX", unhosted, ARGV[at], ARGV[1])
  else
    redis.call("HDEL", unhosted, ARGV[at])
  end
end
return redis.call("HLEN", unhosted)
