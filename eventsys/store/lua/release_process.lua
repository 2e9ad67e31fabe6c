--[[
release_process: make what a dead process held available again, for who knows that it is dead and what it had begun.

What it had begun may have killed it: those are suspects. The rest was merely fetched, and is returned as if the process
had handed it back; the crash that was counted when a suspect among it was claimed is taken off. The lease ends in the
same step, so that what others take over afterwards is what is left here. Run again, by whomever, it finds nothing.
The name itself stays until the next takeover, which tells of it.

KEYS
  1  prefix of the bus
     Reads and writes below it: processes, process:<name>, queues, queue:<queue>:<lane>, log:<lane>, crashes, clock, counts,
     subscriptions, subscriptions:ended, subscriptions:renamed, waiting, waiting:<subscription>:<lane>, news
ARGV
  1    now_ms    the caller's clock
  2    process   its name
  3    limit     most entries to move on one lane
  4..  begun     what it may have begun: the first 8 hexadecimal digits of the SHA-1 of the lane's key, and the entry
RETURNS
  {entries moved, of these suspects}; to be called again until nothing was moved
]]
local prefix, process, crashes = KEYS[1], ARGV[2], KEYS[1] .. ":crashes"
local now_ms, limit = tonumber(ARGV[1]), tonumber(ARGV[3])

redis.call("DEL", prefix .. ":scratch")

-- It left by itself, and what it held was given up by then.
if not redis.call("ZSCORE", prefix .. ":processes", process) then return { 0, 0 } end

-- include: next_entry
-- include: count
-- include: requeue_inline
-- include: lanes_of

local is_begun = {}
for at = 4, #ARGV do is_begun[ARGV[at]] = true end

local function claim(stream, consumer, ids)
  if #ids == 0 then return end
  redis.call("XCLAIM", stream, "workers", consumer, 0, unpack(ids))
end

-- A suspect that was claimed and not begun is as suspect as before, and no more.
local function take_crash_off(mark)
  if redis.call("HEXISTS", crashes, mark) == 0 then return false end
  if redis.call("HINCRBY", crashes, mark, -1) < 1 then redis.call("HDEL", crashes, mark) end
  return true
end

local streams, queue_of = lanes_of(queues_of_bus())
local suspected = 0
local function release(stream, pending)
  local stem, returned, begun, suspects = string.sub(redis.sha1hex(stream), 1, 8), {}, {}, {}
  for _, held in ipairs(pending) do
    local id = held[1]
    -- No handler runs while an event is dispatched, so none can have killed the process.
    local is_suspect = queue_of[stream] ~= "eventsys.log"
      and (is_begun[stem .. id] or take_crash_off(stream .. "|" .. id))
    -- Claimed when it had begun in time elsewhere: it is not too late by now.
    local ids = is_suspect and suspects or held[4] > 1 and begun or returned
    ids[#ids + 1] = id
  end
  suspected = suspected + #suspects
  for _, ids in ipairs({ returned, begun, suspects }) do
    if #ids > 0 then ids[#ids + 1] = "JUSTID" end
  end
  for count, ids in pairs({ [0] = returned, [1] = begun }) do
    if #ids > 0 then
      ids[#ids + 1] = "RETRYCOUNT"
      ids[#ids + 1] = count
    end
  end
  claim(stream, "returned", returned)
  claim(stream, "returned", begun)
  claim(stream, "suspects", suspects)
end

redis.call("ZADD", prefix .. ":processes", 0, process)
local moved = 0
for _, stream in ipairs(streams) do
  local pending = redis.pcall("XPENDING", stream, "workers", "-", "+", limit, process)
  if not pending.err and #pending > 0 then
    if queue_of[stream] == "eventsys.inline" then
      for _, held in ipairs(pending) do requeue_inline(stream, held[1]) end
    else
      release(stream, pending)
    end
    moved = moved + #pending
  end
end
if moved > 0 then
  redis.call("INCR", prefix .. ":news")
  redis.call("HINCRBY", prefix .. ":process:" .. process, "released", moved)
end
count("reclaimed", moved)
keep_counts()
keep_entry_clock()
return { moved, suspected }
