--[[
release_waiting: put deliveries of a subscription that may run now back on their queue, in the order they came; called
by a process that hosts it.

As many as its state and its limits allow, at most 500; nothing while it is paused. Safe to call at any time.

KEYS
  1  prefix of the bus
     Reads and writes below it: what admit_deliveries.lua does
ARGV
  1  now_ms         the caller's clock
  2  subscription   whose cause for waiting may have ended
RETURNS
  how many were moved
]]
local prefix = KEYS[1]
local now_ms = tonumber(ARGV[1])

redis.call("DEL", prefix .. ":scratch")

-- include: next_entry
-- include: gates

redis.call("HDEL", prefix .. ":gate:" .. ARGV[2], "unhosted")
local moved = release(ARGV[2])
keep_entry_clock()
return moved
