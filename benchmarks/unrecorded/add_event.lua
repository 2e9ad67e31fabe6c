--[[
add_event: put an event into its lane of the log, and nowhere else: the benchmark's stand-in for the step that records.
]]
local function group_of(event_type, lane)
  return { type = event_type, log = prefix .. ":log:" .. lane }
end

local function store_event(_, envelope, group)
  redis.call("XADD", group.log, next_entry(), "e", envelope)
  count_event(group.type, "published")
  return nil
end

local function add_event(step)
  local _, event_id, event_type, lane, envelope = unpack(step, 1, 5)
  return store_event(event_id, envelope, group_of(event_type, lane)) or { "stored", event_id }
end
