--[[
claim_sweep: let one process run a sweep in an interval, whoever else asks.

A caller one interval behind is late and does nothing. One further behind is right: the clock was set back. What began ten
minutes ago and has not ended, its process or its Redis was lost meanwhile, is run again.

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

-- As long as a time limit lets a sweep run.
local LOST_MS = 600000

local last, began_ms, ended_ms = unpack(redis.call("HMGET", key, "slot", "began_ms", "ended_ms"))
last, began_ms, ended_ms = tonumber(last or -1), tonumber(began_ms or 0), tonumber(ended_ms or 0)
local is_lost = ended_ms < began_ms and tonumber(ARGV[1]) - began_ms >= LOST_MS
if (slot == last or slot == last - 1) and not is_lost then return 0 end
redis.call("HSET", key, "slot", ARGV[3], "began_ms", ARGV[1])
return 1
