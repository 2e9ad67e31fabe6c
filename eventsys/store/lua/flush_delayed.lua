--[[
flush_delayed: drop what a queue has in the delayed store, some of it; call again until nothing is left.

KEYS
  1  prefix of the bus
     Reads and writes below it: delayed:due, delayed:bodies, delayed:ids:<bucket>, delayed:queues, delayed:flush
ARGV
  1  queue
  2  limit    most entries to look at
RETURNS
  how many entries were looked at; 0 when the whole store has been
]]
local prefix, queue, limit = KEYS[1], ARGV[1], tonumber(ARGV[2])

-- include: add_delayed

local place = prefix .. ":delayed:flush"
if redis.call("HEXISTS", prefix .. ":delayed:queues", queue) == 0 then
  redis.call("DEL", place)
  return 0
end
local from = tonumber(redis.call("GET", place) or "0")
local members = redis.call("ZRANGE", prefix .. ":delayed:due", from, from + limit - 1)
local kept = 0
for _, member in ipairs(members) do
  local entry = cmsgpack.unpack(redis.call("HGET", prefix .. ":delayed:bodies", member))
  if entry[2] == queue then
    remove_delayed(entry[1], queue, member)
  else
    kept = kept + 1
  end
end
redis.call("SET", place, from + kept, "EX", 60)
if #members == 0 then redis.call("DEL", place) end
return #members
