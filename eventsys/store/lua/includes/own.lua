--[[
own: whether a process still holds an entry of a lane.

A process that was paused past its lease does not: its messages were taken over, and what it made of them counts for
nothing.
]]
local function owns(stream, entry, process)
  local held = redis.pcall("XPENDING", stream, "workers", entry, entry, 1, process)
  return not held.err and #held > 0
end
