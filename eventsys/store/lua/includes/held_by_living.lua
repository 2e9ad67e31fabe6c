--[[
held_by_living: which entries of a part of a lane living processes hold: what they run, and what they have fetched for that.

`real_ms` is real time, which leases are measured in; `first` and `last` are where the part begins and ends.
Returns a table with true for each of these entries, and how many there are.

Uses: prefix
]]
local function held_by_living(stream, real_ms, first, last)
  local held, count = {}, 0
  local summary = redis.pcall("XPENDING", stream, "workers")
  if summary.err or summary[1] == 0 then return held, count end
  for _, holder in ipairs(summary[4]) do
    local lease_end = redis.call("ZSCORE", prefix .. ":processes", holder[1])
    if lease_end and tonumber(lease_end) > real_ms then
      for _, one in ipairs(redis.call("XPENDING", stream, "workers", first, last, holder[2], holder[1])) do
        held[one[1]] = true
        count = count + 1
      end
    end
  end
  return held, count
end
