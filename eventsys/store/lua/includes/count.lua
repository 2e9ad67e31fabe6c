--[[
count: add to the totals of the bus, in one write a total and script. `keep_counts` must end every script that used it.

Uses: prefix
]]
local counted = {}

local function count(total, by)
  counted[total] = (counted[total] or 0) + by
end

local function keep_counts()
  for total, by in pairs(counted) do
    if by ~= 0 then
      redis.call("HINCRBY", prefix .. ":counts", total, by)
    end
  end
end
