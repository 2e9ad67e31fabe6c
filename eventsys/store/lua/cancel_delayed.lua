--[[
cancel_delayed: take one entry out of the delayed store before it goes.

Exactly one side wins: either the poller let it go before, or it never goes.

KEYS
  1  prefix of the bus
     Reads and writes below it: delayed:due, delayed:bodies, delayed:ids:<bucket>,
     delayed:chain:<correlation id>, delayed:queues, event:<id>, counts, metrics:<...>,
     status:cancelled
ARGV
  1  now_ms          the caller's clock
  2  id              of the delayed event or message
  3  retention_ms    how long the record of a cancelled event is kept
RETURNS
  {"cancelled", due ms, body}; {"fired"} when the event was published already; {"unknown"} when there is none
]]
local prefix, id = KEYS[1], ARGV[2]
local now_ms, retention_ms = tonumber(ARGV[1]), tonumber(ARGV[3])

-- include: count
-- include: forget_cancelled
-- include: add_delayed

local member = redis.call("HGET", delayed_ids(id), id)
if not member then
  if redis.call("HEXISTS", prefix .. ":event:" .. id, "log") == 1 then return { "fired" } end
  return { "unknown" }
end

local due_ms = redis.call("ZSCORE", prefix .. ":delayed:due", member)
local body = redis.call("HGET", prefix .. ":delayed:bodies", member)
local entry = cmsgpack.unpack(body)
remove_delayed(id, entry[2], member, entry[3])
if entry[3][1] == "event" then
  count_event(entry[3][3], "published")
  count_event(entry[3][3], "cancelled")
  redis.call("ZADD", prefix .. ":status:cancelled", now_ms, id)
  redis.call(
    "HSET", prefix .. ":event:" .. id, "status", "cancelled", "envelope", entry[3][5], "due_ms", due_ms,
    "created_ms", string.format("%.0f", entry[4].created_ms or now_ms), "ended_ms", string.format("%.0f", now_ms)
  )
  redis.call("PEXPIRE", prefix .. ":event:" .. id, 2 * retention_ms)
end
keep_counts()
return { "cancelled", due_ms, body }
