--[[
spared: whether a delivery that waits in the room of its subscription may begin however late it is, because a pause or an
open breaker held it back: the room was closed while it waited there, before it was too late.

`closings` of the subscription's gate says when the room was closed while something waited, in ms; it is dropped with the
last entry. `entry` is the delivery's name in the room, which begins with when it came.

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
  -- Of more than so many the second oldest goes: what waits longest was there for the oldest.
  if #closings >= most_closings then table.remove(closings, 2) end
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
