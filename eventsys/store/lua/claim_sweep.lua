--[[
claim_sweep: let one process run a sweep in an interval, whoever else asks.

A caller one interval behind is late and does nothing. One further behind is right: the clock was set back.

KEYS
  1  prefix of the bus
     Reads and writes below it: sweep:<name>
ARGV
  1  now_ms   the caller's clock
  2  name     of the sweep
  3  slot     number of the interval that now belongs to
RETURNS
  1 when the caller runs it, 0 when that is done or another does
]]
local key, slot = KEYS[1] .. ":sweep:" .. ARGV[2], tonumber(ARGV[3])

redis.call("DEL", KEYS[1] .. ":scratch")

local last = tonumber(redis.call("HGET", key, "slot") or "-1")
if slot == last or slot == last - 1 then return 0 end
redis.call("HSET", key, "slot", ARGV[3], "began_ms", ARGV[1])
return 1
