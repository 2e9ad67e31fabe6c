--[[
requeue_inline: give deliveries that a publisher was to run itself, and did not begin, to the workers.

KEYS
  1  prefix of the bus
     Reads and writes below it: the lanes given, clock, subscriptions, subscriptions:ended, subscriptions:renamed, waiting, waiting:<subscription>:<lane>,
     queue:<queue>:<lane>
ARGV
  1    now_ms     the caller's clock
  2    process    who was to run them
  3..  pairs      lane's key, entry
RETURNS
  how many were given away
]]
local prefix, process = KEYS[1], ARGV[2]
local now_ms = tonumber(ARGV[1])

redis.call("DEL", prefix .. ":scratch")

-- include: own
-- include: next_entry
-- include: requeue_inline

local given = 0
for at = 3, #ARGV, 2 do
  if owns(ARGV[at], ARGV[at + 1], process) then
    requeue_inline(ARGV[at], ARGV[at + 1])
    given = given + 1
  end
end
keep_entry_clock()
return given
