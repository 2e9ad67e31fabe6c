--[[
spared: whether a delivery may begin however late it is, because a pause or an open breaker held it back: its subscription
closed while it waited, in its room or in a queue that nobody read, and before it was too late.

`closings` of the subscription's gate says when it closed, in ms. `entry` is the delivery's name where it waits, which begins
with when it came there.

Uses: prefix, now_ms
]]
local most_closings = 100

local function limit_of(fields)
  for at = 5, #fields, 2 do
    if fields[at] == "x" then return tonumber(fields[at + 1]), at end
  end
end

local function note_closing(name)
  local gate = prefix .. ":gate:" .. name
  local noted, closings = redis.call("HGET", gate, "closings"), {}
  for closed_ms in string.gmatch(noted or "", "%d+") do closings[#closings + 1] = closed_ms end
  if #closings >= most_closings then table.remove(closings, 1) end
  closings[#closings + 1] = string.format("%.0f", now_ms)
  redis.call("HSET", gate, "closings", table.concat(closings, " "))
end

local function is_spared(name, entry, fields)
  local limit_ms = limit_of(fields)
  local noted = limit_ms and redis.call("HGET", prefix .. ":gate:" .. name, "closings")
  if not noted then return false end
  local came_ms = tonumber(string.match(entry, "^%d+"))
  for closed_ms in string.gmatch(noted, "%d+") do
    if tonumber(closed_ms) >= came_ms and tonumber(closed_ms) <= limit_ms then return true end
  end
  return false
end
