--[[
settle_subscription: note that nothing is left of a subscription that has ended; only then its name may be declared anew.

A queue of its own goes with it, unless a process that lives reads that still: then it goes when it is left.

KEYS
  1  prefix of the bus
     Reads and writes below it: subscriptions, subscriptions:ended, waiting:<subscription>:<lane>, queue:<queue>:<lane>,
     delayed:queues, queues, queues:paused, processes, process:<name>
ARGV
  1  name
  2  queue   its own; empty where it shared one
RETURNS
  1 when it is settled, now or before; 0 when something is left, which is to be cancelled first
]]
local prefix, name, queue = KEYS[1], ARGV[1], ARGV[2]

-- include: forget_own_queue

if redis.call("HEXISTS", prefix .. ":subscriptions:ended", name) == 0 then return 1 end
for _, lane in ipairs({ 10, 8, 5, 1 }) do
  if redis.call("XLEN", prefix .. ":waiting:" .. name .. ":" .. lane) > 0 then return 0 end
  if queue ~= "" and redis.call("XLEN", prefix .. ":queue:" .. queue .. ":" .. lane) > 0 then return 0 end
end
-- What waits for its next try is counted: where some fired while the rest was looked through, one may have been passed over.
if queue ~= "" and redis.call("HEXISTS", prefix .. ":delayed:queues", queue) == 1 then return 0 end
redis.call("HDEL", prefix .. ":subscriptions:ended", name)
if queue ~= "" then forget_own_queue(queue, name) end
return 1
