--[[
take_turn: let one process go on with what takes long of the subscriptions that have ended, or end its turn.

Were it all of them, Redis would have no time for anything else. Whose lease was ended has it no more.

KEYS
  1  prefix of the bus
     Reads and writes below it: processes, settling
ARGV
  1  process    the name of its lease
  2  longest_ms how long it has the turn unless it says so again; 0: it gives it up
RETURNS
  1 when the turn is this process's now, 0 when it is not
]]
local prefix, process = KEYS[1], ARGV[1]
local settling = prefix .. ":settling"

-- The first to write: at its memory limit Redis refuses a script whose first write needs some.
redis.call("DEL", prefix .. ":scratch")

local holder = redis.call("GET", settling)
local is_own = holder == process
if ARGV[2] == "0" then
  if is_own then redis.call("DEL", settling) end
  return 0
end
if holder and not is_own then
  local lease_end = redis.call("ZSCORE", prefix .. ":processes", holder)
  if lease_end and tonumber(lease_end) > 0 then return 0 end
end
redis.call("SET", settling, process, "PX", ARGV[2])
return 1
