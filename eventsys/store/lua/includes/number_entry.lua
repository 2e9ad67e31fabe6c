--[[
number_entry: give what enters a stream of the history its number there: 1 for the first, then one more each time.

Entries leave these streams at their old end only, so what lies between two of them is counted by the difference of
their numbers, however many there are. A script that numbers several of a stream writes twice, not each time.

Uses: prefix, at_end
]]
local numbers, numbered = {}, {}

-- The numbers of a stream; `hash` and `field` are where the newest is kept.
local function numbers_of(hash, field)
  local of_hash = numbers[hash]
  if not of_hash then
    of_hash = {}
    numbers[hash] = of_hash
  end
  local last = of_hash[field]
  if not last then
    last = { hash = hash, field = field, unwritten = 0 }
    of_hash[field] = last
    numbered[#numbered + 1] = last
  end
  return last
end

local function next_number(last)
  if last.number then
    last.number, last.unwritten = last.number + 1, last.unwritten + 1
  else
    last.number = redis.call("HINCRBY", prefix .. last.hash, last.field, "1")
  end
  return string.format("%d", last.number)
end

-- The same for a stream that gets no other entry, as far as one can tell: nothing is kept of it.
local function only_number(hash, field)
  local last = numbers[hash] and numbers[hash][field]
  if last then return next_number(last) end
  return string.format("%d", redis.call("HINCRBY", prefix .. hash, field, "1"))
end

at_end[#at_end + 1] = function()
  for _, last in ipairs(numbered) do
    if last.unwritten > 0 then redis.call("HINCRBY", prefix .. last.hash, last.field, last.unwritten) end
  end
end
