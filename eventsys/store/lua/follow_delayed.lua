--[[
follow_delayed: tell which entries of one tier of the delayed store come after a position, the next one due first.

Entries leave while somebody goes through the store, and their numbers shift; so the next ones are found by what was seen
last, not by how many were seen. Whoever goes on behind the last position meets everything that stays exactly once.

KEYS
  1  prefix of the bus
     Reads and writes below it: delayed:due, delayed:far:due
ARGV
  1  tier     "due" or "far:due"
  2  low      the first due time wanted, in ms, or -inf
  3  high     the last one, or +inf
  4  after    due time of the position; empty to begin with the first
  5  member   of the position
  6  limit    most entries to tell
RETURNS
  members and due times in turn
]]
local tier, low, high, after, member = KEYS[1] .. ":delayed:" .. ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local limit = tonumber(ARGV[6])

-- Byte by byte: Lua compares texts as its locale does, Redis does not.
local function is_behind(one)
  for at = 1, math.max(#one, #member) do
    local left, right = string.byte(one, at) or -1, string.byte(member, at) or -1
    if left ~= right then return left > right end
  end
  return false
end

if after == "" then
  return redis.call("ZRANGE", tier, low, high, "BYSCORE", "LIMIT", 0, limit, "WITHSCORES")
end
local score = redis.call("ZSCORE", tier, member)
if score and tonumber(score) == tonumber(after) then
  local skipped = redis.call("ZRANK", tier, member) - redis.call("ZCOUNT", tier, "-inf", "(" .. after) + 1
  return redis.call("ZRANGE", tier, after, high, "BYSCORE", "LIMIT", skipped, limit, "WITHSCORES")
end
-- It left meanwhile: what is due at the same instant is compared.
local found, behind = redis.call("ZRANGE", tier, after, high, "BYSCORE", "LIMIT", 0, limit, "WITHSCORES"), {}
local skipped = 0
while #found > 0 do
  for at = 1, #found, 2 do
    if tonumber(found[at + 1]) > tonumber(after) or is_behind(found[at]) then
      behind[#behind + 1] = found[at]
      behind[#behind + 1] = found[at + 1]
    end
  end
  if #behind > 0 then return behind end
  skipped = skipped + limit
  found = redis.call("ZRANGE", tier, after, high, "BYSCORE", "LIMIT", skipped, limit, "WITHSCORES")
end
return behind
