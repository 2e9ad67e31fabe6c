--[[
set_measures_aside: take the journal of measures out of the way of those who write it, to be added to the counters; unless
what was set aside before is not through.

KEYS
  1  prefix of the bus
     Reads and writes below it: metrics:journal, metrics:aside, metrics:folding
ARGV
  1  pieces  most pieces to return
RETURNS
  {pieces set aside, 0 when there is nothing to fold; 1 when that was done now, and 0 when it was before; the number of this
  setting aside; parts that are folded of it; the first of the pieces}
]]
local metrics = KEYS[1] .. ":metrics:"

-- What somebody else wrote there is no number of ours: counting begins anew.
local function is_count(text)
  return text and #text < 16 and string.find(text, "^%d+$")
end

local function mend()
  local number, part = unpack(redis.call("HMGET", metrics .. "folding", "number", "part"))
  if is_count(number) and is_count(part) then return tonumber(number), tonumber(part) end
  redis.call("HSET", metrics .. "folding", "number", 1, "part", 0)
  return 1, 0
end

local is_new = redis.call("EXISTS", metrics .. "aside") == 0
if is_new then
  if redis.call("EXISTS", metrics .. "journal") == 0 then return { 0, 1, 0, 0, {} } end
  redis.call("DEL", KEYS[1] .. ":scratch")
  redis.call("RENAME", metrics .. "journal", metrics .. "aside")
  mend()
  redis.call("HINCRBY", metrics .. "folding", "number", 1)
  redis.call("HSET", metrics .. "folding", "part", 0)
end
local number, part = mend()
local pieces = redis.call("LRANGE", metrics .. "aside", 0, ARGV[1] - 1)
return { redis.call("LLEN", metrics .. "aside"), is_new and 1 or 0, number, part, pieces }
