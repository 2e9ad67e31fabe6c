--[[
take_over: make what dead processes held available again: messages as suspects, events to be dispatched as returned.

Any living process may run this, several at once. A consumer is removed only when nothing is pending for it, since
removing it would drop what is. What a machine had sent before it was lost may reach a lane after that, and makes the
consumer anew: a name for which something is pending, and which is no process, is that of a dead one from then on.

KEYS
  1  prefix of the bus
     Reads and writes below it: processes, process:<name>, queues, queues:paused, queue:<queue>:<lane>, log:<lane>, clock,
     counts, subscriptions, subscriptions:ended, subscriptions:renamed, waiting, waiting:<subscription>:<lane>
ARGV
  1  now_ms    real time
  2  limit     most entries to move on one lane
RETURNS
  {names of the processes that were dead, entries moved, queues that hold returned entries or suspects,
  queues that are paused, for each name how many were taken over now or, when that was the last of it, released before}
]]
local prefix = KEYS[1]
local now_ms, limit = tonumber(ARGV[1]), tonumber(ARGV[2])

redis.call("DEL", prefix .. ":scratch")

-- include: next_entry
-- include: count
-- include: requeue_inline

-- include: lanes_of_bus

local function move(stream, process)
  local pending = redis.pcall("XPENDING", stream, "workers", "-", "+", limit, process)
  if pending.err then return 0 end
  if #pending == 0 then
    redis.call("XGROUP", "DELCONSUMER", stream, "workers", process)
    return 0
  end
  if queue_of[stream] == "eventsys.inline" then
    for _, held in ipairs(pending) do requeue_inline(stream, held[1]) end
    return #pending
  end
  local ids = {}
  for _, held in ipairs(pending) do ids[#ids + 1] = held[1] end
  ids[#ids + 1] = "JUSTID"
  -- No handler runs while an event is dispatched, so none can have killed the process: these are not suspects.
  local holder = queue_of[stream] == "eventsys.log" and "returned" or "suspects"
  redis.call("XCLAIM", stream, "workers", holder, 0, unpack(ids))
  return #pending
end

local moved, taken = 0, {}
local dead = redis.call("ZRANGEBYSCORE", prefix .. ":processes", "-inf", now_ms, "LIMIT", 0, 4)
for _, process in ipairs(dead) do
  -- From here on the process can neither commit nor renew, should it come back.
  redis.call("ZADD", prefix .. ":processes", 0, process)
  local left = 0
  for _, stream in ipairs(streams) do left = left + move(stream, process) end
  moved = moved + left
  taken[#taken + 1] = left
  if left == 0 then
    -- What its supervisor released before is told of here, once.
    taken[#taken] = tonumber(redis.call("HGET", prefix .. ":process:" .. process, "released") or "0")
    redis.call("ZREM", prefix .. ":processes", process)
    redis.call("DEL", prefix .. ":process:" .. process)
  end
end

local waiting, named, noted = {}, {}, {}
local function note(queue, consumer)
  if consumer ~= "returned" and consumer ~= "suspects" then
    if not noted[consumer] then redis.call("ZADD", prefix .. ":processes", "NX", 0, consumer) end
    noted[consumer] = true
  elseif not named[queue] then
    named[queue] = true
    waiting[#waiting + 1] = queue
  end
end
for _, stream in ipairs(streams) do
  local summary = redis.pcall("XPENDING", stream, "workers")
  for _, holder in ipairs(not summary.err and summary[4] or {}) do note(queue_of[stream], holder[1]) end
end
if moved > 0 then redis.call("INCR", prefix .. ":news") end
count("reclaimed", moved)
keep_counts()
keep_entry_clock()
return { dead, moved, waiting, redis.call("SMEMBERS", prefix .. ":queues:paused"), taken }
