--[[
own: whether a process still holds an entry of a lane.

A process that was paused past its lease does not: its messages were taken over, and what it made of them counts for
nothing.
]]
local function owns(stream, entry, process)
  local held = redis.pcall("XPENDING", stream, "workers", entry, entry, 1, process)
  return not held.err and #held > 0
end

-- Returns the set of those among `entries`, in order, that the process holds.
local function held_of(stream, entries, process)
  local most = 2 * #entries + 10
  local pending = redis.pcall("XPENDING", stream, "workers", entries[1], entries[#entries], most, process)
  local held = {}
  if pending.err then return held end
  for _, entry in ipairs(pending) do held[entry[1]] = true end
  if #pending == most then
    -- It holds many others in between: ask for each.
    for _, entry in ipairs(entries) do held[entry] = held[entry] or owns(stream, entry, process) end
  end
  return held
end
