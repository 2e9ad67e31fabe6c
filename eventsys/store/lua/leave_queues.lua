--[[
leave_queues: say that a process reads queues no longer, each that of a subscription it hosted.

What has ended is forgotten with the last process that reads it, where it was of that subscription alone. Sent twice
it does the same.

KEYS
  1  prefix of the bus
     Reads and writes below it: processes, process:<name>, queues, queues:paused, queue:<queue>:<lane>, delayed:queues,
     subscriptions, subscriptions:ended
ARGV
  1    process  the name of its lease
  2    queues   all that it reads still, as text
  3..  left     a queue and the name of its subscription, in turn
RETURNS
  how many queues it has left
]]
local prefix = KEYS[1]
local process = prefix .. ":process:" .. ARGV[1]

redis.call("DEL", prefix .. ":scratch")

-- include: forget_own_queue

if redis.call("EXISTS", process) == 1 then redis.call("HSET", process, "queues", ARGV[2]) end
for at = 3, #ARGV, 2 do forget_own_queue(ARGV[at], ARGV[at + 1]) end
return (#ARGV - 2) / 2
