--[[
hand_back: return messages that this process fetched and did not start, or that ran when it decided to end.

Only what the process still holds: it may have been taken over meanwhile. A suspect goes back to the suspects, and the
crash that was counted when it was claimed is taken off: it did not kill the process. What had begun before it was too late is
marked by the count of its deliveries in the group, 1 instead of 0, so that it never is.

KEYS
  1  prefix of the bus
     Reads and writes below it: the lanes given, crashes
ARGV
  1    process   who held them
  2..  entries   lane's key, entry, and 1 where it began in time, else 0; of each in turn
RETURNS
  how many were handed back
]]
local process, crashes = ARGV[1], KEYS[1] .. ":crashes"

redis.call("DEL", KEYS[1] .. ":scratch")

-- include: own

local returned = 0
for at = 2, #ARGV, 3 do
  if owns(ARGV[at], ARGV[at + 1], process) then
    local mark, holder = ARGV[at] .. "|" .. ARGV[at + 1], "returned"
    if redis.call("HEXISTS", crashes, mark) == 1 then
      holder = "suspects"
      if redis.call("HINCRBY", crashes, mark, -1) < 1 then redis.call("HDEL", crashes, mark) end
    end
    redis.call("XCLAIM", ARGV[at], "workers", holder, 0, ARGV[at + 1], "RETRYCOUNT", ARGV[at + 2], "JUSTID")
    returned = returned + 1
  end
end
if returned > 0 then redis.call("INCR", KEYS[1] .. ":news") end
return returned
