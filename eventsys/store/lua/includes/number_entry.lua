--[[
number_entry: give what enters a stream of the history its number there: 1 for the first, then one more each time.

Entries leave these streams at their old end only, so what lies between two of them is counted by the difference of
their numbers, however many there are. A script that numbers several of a stream writes twice, not each time.

Uses: prefix, at_end
]]
local numbers, numbered = {}, {}

-- `hash` and `field` are where the stream's newest number is kept.
local function number_entry(hash, field)
  local name = hash .. " " .. field
  local last = numbers[name]
  if last then
    last[3], last[4] = last[3] + 1, last[4] + 1
    return last[3]
  end
  local number = redis.call("HINCRBY", prefix .. hash, field, 1)
  numbers[name] = { hash, field, number, 0 }
  numbered[#numbered + 1] = name
  return number
end

at_end[#at_end + 1] = function()
  for _, name in ipairs(numbered) do
    local last = numbers[name]
    if last[4] > 0 then redis.call("HINCRBY", prefix .. last[1], last[2], last[4]) end
  end
end
