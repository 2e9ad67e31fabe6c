--[[
fire_delayed: let a delayed event go now, before its time.

Exactly one side wins: either the poller let it go before, or it goes here.

KEYS
  1  prefix of the bus
     Reads and writes below it: what add.lua does
ARGV
  1  now_ms   the caller's clock, which is when the event was due from now on
  2  id       of the delayed event
RETURNS
  {"fired now", now ms, body}; {"fired"} when the event was published already; {"unknown"} when there is none
]]
local prefix, id = KEYS[1], ARGV[2]
local now_ms = tonumber(ARGV[1])

-- include: count
-- include: forget_cancelled
-- include: add_delayed
-- include: carry_out
-- include: fire_entry

local member, _, entry, due, bodies = find_delayed(id)
if not member or entry[3][1] ~= "event" then
  return { redis.call("HEXISTS", prefix .. ":event:" .. id, "log") == 1 and "fired" or "unknown" }
end
local body = redis.call("HGET", bodies, member)
fire_entry(member, body, now_ms, due, bodies)
keep_counts()
keep_entry_clock()
return { "fired now", ARGV[1], body }
