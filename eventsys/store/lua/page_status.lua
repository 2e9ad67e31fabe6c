--[[
page_status: read a page of an index that is ordered by score and member, from behind an entry that may be gone.

KEYS
  1  prefix of the bus
     Reads below it: the sorted set given
ARGV
  1  name     of the sorted set, below the prefix
  2  lowest   score, included
  3  highest  score, included
  4  newest   1: highest scores first; 0: lowest first
  5  score    of the entry that the page follows; empty: none
  6  member   the same
  7  offset   entries to leave out
  8  size     most entries to return
RETURNS
  members and scores in turn
]]
local index, lowest, highest = KEYS[1] .. ":" .. ARGV[1], ARGV[2], ARGV[3]
local is_newest_first = ARGV[4] == "1"

-- Lua compares texts by the server's locale, Redis orders members by their bytes.
local function is_before(one, other)
  for at = 1, math.min(#one, #other) do
    local a, b = string.byte(one, at), string.byte(other, at)
    if a ~= b then return a < b end
  end
  return #one < #other
end

-- Ranks count from the lowest score. Entries of one score stand in the order of their bytes.
local function rank_behind(score, member)
  local low = redis.call("ZCOUNT", index, "-inf", "(" .. score)
  local high = low + redis.call("ZCOUNT", index, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local at = redis.call("ZRANGE", index, middle, middle)[1]
    if is_before(at, member) or (not is_newest_first and at == member) then low = middle + 1 else high = middle end
  end
  return low
end

local first = redis.call("ZCOUNT", index, "-inf", "(" .. lowest)
local last = redis.call("ZCOUNT", index, "-inf", highest) - 1
if ARGV[5] ~= "" then
  local rank = rank_behind(ARGV[5], ARGV[6])
  if is_newest_first then last = math.min(last, rank - 1) else first = math.max(first, rank) end
end
local offset, size = tonumber(ARGV[7]), tonumber(ARGV[8])
if is_newest_first then
  last = last - offset
  first = math.max(first, last - size + 1)
else
  first = first + offset
  last = math.min(last, first + size - 1)
end
if first > last then return {} end
local found = redis.call("ZRANGE", index, first, last, "WITHSCORES")
if not is_newest_first then return found end
local turned = {}
for at = #found - 1, 1, -2 do
  turned[#turned + 1] = found[at]
  turned[#turned + 1] = found[at + 1]
end
return turned
