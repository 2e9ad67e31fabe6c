--[[
promote_far: move entries of the delayed store that come near to the tier that the poller works on, some of them; call
again until nothing is left.

KEYS
  1  prefix of the bus
     Reads and writes below it: delayed:due, delayed:bodies, delayed:far:due, delayed:far:bodies
ARGV
  1  now_ms     the caller's clock
  2  until_ms   what is due by then is moved
  3  limit      most entries to move
RETURNS
  how many were moved
]]
local prefix = KEYS[1]
local now_ms = tonumber(ARGV[1])

redis.call("DEL", prefix .. ":scratch")

-- include: count
-- include: forget_cancelled
-- include: add_delayed
-- include: promote_delayed

local moved = promote_delayed(ARGV[2], tonumber(ARGV[3]))
local head = redis.call("ZRANGE", near_due, 0, 0, "WITHSCORES")
if moved > 0 and head[2] then redis.call("PUBLISH", prefix .. ":wake", head[2]) end
return moved
