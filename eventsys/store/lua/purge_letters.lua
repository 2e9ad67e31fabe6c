--[[
purge_letters: drop dead letters for good. Their events stay failed.

KEYS
  1  prefix of the bus
     Reads and writes below it: dead, dead:<letter id>, letters:<owner>, subscriptions:renamed, counts
ARGV
  1    now_ms     the caller's clock
  2..  letters    letter id, and died_ms as the caller read it; of each in turn
RETURNS
  how many were dropped: one that died again since it was read stays
]]
local prefix = KEYS[1]
local now_ms = tonumber(ARGV[1])

redis.call("DEL", prefix .. ":scratch")

-- include: count
-- include: next_entry
-- include: gates
-- include: drop_letter

local dropped = 0
for at = 2, #ARGV, 2 do
  local died_ms, owner = unpack(redis.call("HMGET", prefix .. ":dead:" .. ARGV[at], "died_ms", "owner"))
  if died_ms == ARGV[at + 1] and drop_letter(ARGV[at], owner) then dropped = dropped + 1 end
end
count("letters_purged", dropped)
keep_counts()
return dropped
