--[[
add_event: put an event into its lane of the log, and nowhere else: the benchmark's stand-in for the step that records.
]]
local function add_event(step)
  redis.call("XADD", prefix .. ":log:" .. step[4], next_entry(), "e", step[5])
  count_event(step[3], "published")
  return { "stored", step[2] }
end
