--[[
take_over: make what a dead process held available again: messages as suspects, events to be dispatched as returned.

Any living process may run this, several at once. A consumer is removed only when nothing is pending for it, since
removing it would drop what is. What a machine had sent before it was lost may reach a lane after that, and makes the
consumer anew: a name for which something is pending, and which is no process, is that of a dead one from then on.

A dead process is looked for on all lanes of the bus, and of the queues given: after a loss of data they may not be
among those of the bus, and what it holds there would be found again and again. Otherwise only those of the queues given are looked at, which the
caller reads: what waits elsewhere is no use to it, and looking at all lanes would cost milliseconds each time.

KEYS
  1  prefix of the bus
     Reads and writes below it: processes, process:<name>, queues, queues:paused, queue:<queue>:<lane>, log:<lane>, clock,
     counts, subscriptions, subscriptions:ended, subscriptions:renamed, waiting, waiting:<subscription>:<lane>,
     news
ARGV
  1    now_ms    real time
  2    limit     most entries to move on one lane
  3    process   the name of one that is dead, whatever its lease; empty: any whose lease has ended
  4..  queues    where returned entries, suspects, and what is held under the name of no process, are looked for
RETURNS
  {the name of the process that was dead, in a list, or an empty list, entries moved, the given queues that hold
  returned entries or suspects, queues that are paused, in a list for that name how many were taken over now or, when
  that was the last of it, released before}; to be called again while there was one
]]
local prefix = KEYS[1]
local now_ms, limit = tonumber(ARGV[1]), tonumber(ARGV[2])

redis.call("DEL", prefix .. ":scratch")

-- include: next_entry
-- include: count
-- include: requeue_inline

-- include: lanes_of

local function move(stream, queue, process)
  local pending = redis.pcall("XPENDING", stream, "workers", "-", "+", limit, process)
  if pending.err then return 0 end
  if #pending == 0 then
    redis.call("XGROUP", "DELCONSUMER", stream, "workers", process)
    return 0
  end
  if queue == "eventsys.inline" then
    for _, held in ipairs(pending) do requeue_inline(stream, held[1]) end
    return #pending
  end
  local ids = {}
  for _, held in ipairs(pending) do ids[#ids + 1] = held[1] end
  ids[#ids + 1] = "JUSTID"
  -- No handler runs while an event is dispatched, so none can have killed the process: these are not suspects.
  local holder = queue == "eventsys.log" and "returned" or "suspects"
  redis.call("XCLAIM", stream, "workers", holder, 0, unpack(ids))
  return #pending
end

local given = {}
for at = 4, #ARGV do given[#given + 1] = ARGV[at] end

local function all_queues()
  local queues, has = queues_of_bus(), {}
  for _, queue in ipairs(queues) do has[queue] = true end
  for _, queue in ipairs(given) do
    if not has[queue] then queues[#queues + 1] = queue end
  end
  return queues
end

local moved, taken = 0, {}
local dead = { ARGV[3] }
if ARGV[3] == "" then dead = redis.call("ZRANGEBYSCORE", prefix .. ":processes", "-inf", now_ms, "LIMIT", 0, 1) end
local process = dead[1]
if process then
  -- From here on the process can neither commit nor renew, should it come back.
  redis.call("ZADD", prefix .. ":processes", 0, process)
  local streams, queue_of = lanes_of(all_queues())
  for _, stream in ipairs(streams) do moved = moved + move(stream, queue_of[stream], process) end
  taken[1] = moved
  if moved == 0 then
    -- What its supervisor released before is told of here, once.
    taken[1] = tonumber(redis.call("HGET", prefix .. ":process:" .. process, "released") or "0")
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
local streams, queue_of = lanes_of(given)
for _, stream in ipairs(streams) do
  local summary = redis.pcall("XPENDING", stream, "workers")
  for _, holder in ipairs(not summary.err and summary[4] or {}) do note(queue_of[stream], holder[1]) end
end
if moved > 0 then redis.call("INCR", prefix .. ":news") end
count("reclaimed", moved)
keep_counts()
keep_entry_clock()
return { dead, moved, waiting, redis.call("SMEMBERS", prefix .. ":queues:paused"), taken }
