--[[
add_event: put an event into its lane of the log, and nowhere else: the benchmark's stand-in for the step that records.
]]
local function store_event(values, at)
  redis.call("XADD", prefix .. ":log:" .. values[at + 2], next_entry(), "e", values[at + 3])
  count_event(values[at + 1], "published")
  return nil
end

local function add_event(step)
  return store_event(step, 2) or { "stored", step[2] }
end
