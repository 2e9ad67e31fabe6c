--[[
dispatch_event: give every target its delivery, and note it nowhere: the benchmark's stand-in for the step that records.
]]
local function dispatch_event(event_id, lane, envelope, targets, event_type, stored_ms)
  local entries = {}
  for at = 1, #targets, 4 do
    local name, queue, own_lane = targets[at + 1], targets[at + 2], targets[at + 3]
    local stream, entry = prefix .. ":queue:" .. queue .. ":" .. (own_lane ~= 0 and own_lane or lane), next_entry()
    redis.call("XADD", stream, entry, "s", name, "e", envelope, "t", stored_ms)
    entries[#entries + 1] = entry
  end
  return entries, true
end
