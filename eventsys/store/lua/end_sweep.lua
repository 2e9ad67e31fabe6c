--[[
end_sweep: note how a sweep ended; one that failed may be run again in the same interval.

KEYS
  1  prefix of the bus
     Reads and writes below it: sweep:<name>
ARGV
  1  now_ms    the caller's clock
  2  name      of the sweep
  3  did       how many things it changed
  4  problem   what it raised; empty when it ended well
RETURNS
  nothing
]]
local key = KEYS[1] .. ":sweep:" .. ARGV[2]

redis.call("DEL", KEYS[1] .. ":scratch")

if ARGV[4] == "" then
  redis.call("HSET", key, "ended_ms", ARGV[1], "did", ARGV[3])
  redis.call("HDEL", key, "error")
else
  redis.call("HSET", key, "error", ARGV[4])
  redis.call("HDEL", key, "slot")
end
