--[[
host_subscriptions: say which subscriptions a process hosts, and which it would, were they declared as it declares them.

KEYS
  1  prefix of the bus
     Reads and writes below it: process:<name>
ARGV
  1  name       of the process's lease
  2  numbers    of the subscriptions it hosts, by comma
  3  displaced  JSON: what it declares and does not hold, see WorkerProcess.displaced; empty when there is none
RETURNS
  1 when the process is known, else 0 and nothing is noted
]]
local process = KEYS[1] .. ":process:" .. ARGV[1]

redis.call("DEL", KEYS[1] .. ":scratch")
if redis.call("EXISTS", process) == 0 then return 0 end
redis.call("HSET", process, "subscriptions", ARGV[2])
if ARGV[3] == "" then
  redis.call("HDEL", process, "displaced")
else
  redis.call("HSET", process, "displaced", ARGV[3])
end
return 1
