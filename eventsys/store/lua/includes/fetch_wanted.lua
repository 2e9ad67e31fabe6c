--[[
fetch_wanted: give the process deliveries that were put on its lanes in this very step.

What a process that has nothing to do can begin at once need not wake it once more to be fetched. What its reader was
given of that lane, and has not noted yet, came before: then it fetches the rest too.

Uses: process
]]
-- `wanted` has the key of a lane and how many at most, of each in turn. Returns what XREADGROUP does.
local function fetch_wanted(wanted)
  local fetched = {}
  for at = 1, #wanted, 2 do
    local stream, many = wanted[at], wanted[at + 1]
    local earlier = redis.pcall("XPENDING", stream, "workers", "-", "+", 1, process)
    local found = #earlier == 0
      and redis.pcall("XREADGROUP", "GROUP", "workers", process, "COUNT", many, "STREAMS", stream, ">")
    if found and not found.err then fetched[#fetched + 1] = found[1] end
  end
  return fetched
end
