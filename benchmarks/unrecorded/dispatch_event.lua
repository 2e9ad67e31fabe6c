--[[
dispatch_event: give every target its delivery, and note it nowhere: the benchmark's stand-in for the step that records.
]]
local function dispatch_event(event_id, lane, envelope, targets, event_type, stored_ms)
  for at = 1, #targets, 4 do
    local name, queue, own_lane = targets[at + 1], targets[at + 2], targets[at + 3]
    local stream = prefix .. ":queue:" .. queue .. ":" .. (own_lane ~= 0 and own_lane or lane)
    redis.call("XADD", stream, next_entry(), "s", name, "e", envelope, "t", stored_ms)
    count_delivery(event_type, targets[at], "o")
  end
  return {}, true
end
