--[[
print_number: a whole number as Redis is given it. Left as it is, Redis would print it anew each time, and with seventeen
digits in mind.
]]
local printed_numbers = {}

local function print_number(number)
  local text = printed_numbers[number]
  if not text then
    text = tostring(number)
    printed_numbers[number] = text
  end
  return text
end
