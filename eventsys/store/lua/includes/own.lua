--[[
own: whether a process still holds entries of a lane.

A process that was paused past its lease does not: its messages were taken over, and what it made of them counts for
nothing.
]]
local function owns(stream, entry, process)
  local held = redis.pcall("XPENDING", stream, "workers", entry, entry, 1, process)
  return not held.err and #held > 0
end

-- Returns the set of entries among `attempts` (an entry, or a table that begins with it) that the process holds; `first`
-- and `last` enclose them. One look at the range is cheaper than one at each, unless much else lies between.
local function held_entries(stream, first, last, attempts, process)
  local held, limit = {}, 2 * #attempts
  if #attempts > 3 then
    local found = redis.pcall("XPENDING", stream, "workers", first, last, limit, process)
    if found.err then return held end
    for _, one in ipairs(found) do held[one[1]] = true end
    if #found < limit then return held end
  end
  for _, attempt in ipairs(attempts) do
    local entry = type(attempt) == "string" and attempt or attempt[1]
    held[entry] = held[entry] or owns(stream, entry, process)
  end
  return held
end
