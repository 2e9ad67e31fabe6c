--[[
add_event: put an event into its lane of the log, and nowhere else: the benchmark's stand-in for the step that records.
]]
local function store_event(_, event_type, lane, envelope)
  redis.call("XADD", prefix .. ":log:" .. lane, next_entry(), "e", envelope)
  count_event(event_type, "published")
  return nil
end

local function add_event(step)
  return store_event(unpack(step, 2)) or { "stored", step[2] }
end
