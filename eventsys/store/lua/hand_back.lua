--[[
hand_back: return messages that this process fetched and did not start.

Only what the process still holds: it may have been taken over meanwhile.

KEYS
  1  prefix of the bus
     Reads and writes below it: the lanes given
ARGV
  1    process   who held them
  ...  pairs     lane's key, entry
RETURNS
  how many were handed back
]]
local process = ARGV[1]

redis.call("DEL", KEYS[1] .. ":scratch")

-- include: own

local returned = 0
for at = 2, #ARGV, 2 do
  if owns(ARGV[at], ARGV[at + 1], process) then
    redis.call("XCLAIM", ARGV[at], "workers", "returned", 0, ARGV[at + 1], "RETRYCOUNT", 0, "JUSTID")
    returned = returned + 1
  end
end
return returned
