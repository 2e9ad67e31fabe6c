--[[
host_subscriptions: say which subscriptions a process hosts.

KEYS
  1  prefix of the bus
     Reads and writes below it: process:<name>
ARGV
  1  name       of the process's lease
  2  numbers    of the subscriptions, by comma
RETURNS
  1 when the process is known, else 0 and nothing is noted
]]
local process = KEYS[1] .. ":process:" .. ARGV[1]

redis.call("DEL", KEYS[1] .. ":scratch")
if redis.call("EXISTS", process) == 0 then return 0 end
redis.call("HSET", process, "subscriptions", ARGV[2])
return 1
