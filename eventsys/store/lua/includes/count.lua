--[[
count: add to the totals of the bus, in one write a total and script. `keep_counts` must end every script that used it,
or what `measure` has.

The totals of events are the application's: what the system says of itself (`system.*`, `cron.*`) is in
`system_events`, and by type in the metrics.

Uses: prefix, now_ms
]]
local counted = {}

local function count(total, by)
  counted[total] = (counted[total] or 0) + by
end

-- include: measure
-- include: pending

local function keep_counts()
  keep_pending()
  keep_measures()
  for total, by in pairs(counted) do
    if by ~= 0 then
      redis.call("HINCRBY", prefix .. ":counts", total, by)
    end
  end
end
