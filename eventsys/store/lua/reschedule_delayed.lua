--[[
reschedule_delayed: let a delayed event wait for another time; it keeps its id.

Exactly one side wins: either the poller let it go before, or it goes at the new time.

KEYS
  1  prefix of the bus
     Reads and writes below it: delayed:due, delayed:bodies, delayed:far:due, delayed:far:bodies, delayed:ids:<bucket>,
     delayed:failed, event:<id>
ARGV
  1  now_ms   the caller's clock
  2  id       of the delayed event
  3  due_ms   the new time
RETURNS
  {"delayed", due ms, body}; {"fired"} when the event was published already; {"unknown"} when there is none
]]
local prefix, id = KEYS[1], ARGV[2]
local now_ms, due_ms = tonumber(ARGV[1]), tonumber(ARGV[3])

-- include: count
-- include: forget_cancelled
-- include: add_delayed

local member, _, entry, due, bodies = find_delayed(id)
if not member or entry[3][1] ~= "event" then
  return { redis.call("HEXISTS", prefix .. ":event:" .. id, "log") == 1 and "fired" or "unknown" }
end
entry[4].updated_ms = now_ms
local body = pack_entry(entry)
redis.call("ZREM", due, member)
redis.call("HDEL", bodies, member)
redis.call("HDEL", prefix .. ":delayed:failed", member)
put_delayed(member, due_ms, body)
return { "delayed", ARGV[3], body }
