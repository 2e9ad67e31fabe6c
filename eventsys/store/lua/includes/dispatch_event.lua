--[[
dispatch_event: give every target of an event its delivery.

Safe to run twice: a record that knows its deliveries is left alone. The event is stored once for each delivery, since
a delivery must outlive the history.

`targets` is a flat list of fours: number, subscription, queue, lane or 0 for the event's own. `stored_ms` is when the
event was stored: deliveries carry it, so that the wait until they begin can be measured.
Returns the entries added, in the order of the targets, or nil when the event was dispatched before.

Uses: prefix, next_entry, finish_event, count
]]
local function dispatch_event(event_id, lane, envelope, targets, event_type, stored_ms)
  local record = prefix .. ":event:" .. event_id
  if redis.call("HEXISTS", record, "open") == 1 then return nil end
  local deliveries = #targets / 4
  local fields = { "open", deliveries }
  local entries = {}
  for at = 1, #targets, 4 do
    fields[#fields + 1] = targets[at]
    fields[#fields + 1] = ""
    local own_lane = targets[at + 3]
    local stream = prefix .. ":queue:" .. targets[at + 2] .. ":" .. (own_lane ~= 0 and own_lane or lane)
    entries[#entries + 1] = redis.call("XADD", stream, next_entry(), "s", targets[at + 1], "e", envelope, "t", stored_ms)
    count_delivery(event_type, targets[at], "o")
  end
  redis.call("HSET", record, unpack(fields))
  if deliveries == 0 then
    count_event(event_type, "unrouted")
    finish_event(event_id, record, false, event_type)
  end
  return entries
end
