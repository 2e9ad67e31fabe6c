--[[
flush_delayed: drop what a queue has in the delayed store, some of it; call again until nothing is left.

A delivery that waits for its next attempt ends as cancelled.

KEYS
  1  prefix of the bus
     Reads and writes below it: delayed:due, delayed:bodies, delayed:far:due, delayed:far:bodies, delayed:ids:<bucket>,
     delayed:keys:<bucket>, delayed:chain:<correlation id>, delayed:queues, delayed:messages, delayed:priorities, delayed:failed, delayed:flush:<queue>, subscriptions:numbers, subscriptions:ended, event:<id>, pending, expiring, counts,
     metrics:<...>, status:cancelled
ARGV
  1  now_ms          the caller's clock
  2  retention_ms    how long the record of a finished event is kept
  3  queue
  4  limit           most entries to look at
  5  ended           the subscription that must have ended and not be settled, else nothing is dropped; empty: none must
RETURNS
  how many entries were looked at; 0 when the whole store has been
]]
local prefix, queue, limit = KEYS[1], ARGV[3], tonumber(ARGV[4])
local now_ms, retention_ms = tonumber(ARGV[1]), tonumber(ARGV[2])

redis.call("DEL", prefix .. ":scratch")
if ARGV[5] ~= "" and redis.call("HEXISTS", prefix .. ":subscriptions:ended", ARGV[5]) == 0 then return 0 end

-- include: count
-- include: finish_event
-- include: end_delivery
-- include: cancel_delivery
-- include: forget_cancelled
-- include: add_delayed

-- Each queue has its own: several are flushed at once, and one must not go on where another is.
local place = prefix .. ":delayed:flush:" .. queue
if redis.call("HEXISTS", prefix .. ":delayed:queues", queue) == 0 then
  redis.call("DEL", place)
  return 0
end

-- Drops what is the queue's among `limit` entries of a tier; returns how many were looked at, and how many stay.
local function sweep_tier(due, bodies, from)
  local members = redis.call("ZRANGE", due, from, from + limit - 1)
  local kept = 0
  for _, member in ipairs(members) do
    local entry = unpack_entry(redis.call("HGET", bodies, member))
    if entry[2] == queue then
      if entry[3][1] == "message" then cancel_delivery(entry[3][4]) end
      remove_delayed(entry, member, due, bodies)
    else
      kept = kept + 1
    end
  end
  return #members, kept
end

-- The near tier first, then the far one; the place counts what stays of both.
local from = tonumber(redis.call("GET", place) or "0")
local near = redis.call("ZCARD", near_due)
local looked, kept
if from < near then
  looked, kept = sweep_tier(near_due, near_bodies, from)
else
  looked, kept = sweep_tier(far_due, far_bodies, from - near)
end
redis.call("SET", place, string.format("%.0f", from + kept), "EX", 60)
if looked == 0 then redis.call("DEL", place) end
keep_counts()
return looked
