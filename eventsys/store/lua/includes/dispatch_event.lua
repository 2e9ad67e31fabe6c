--[[
dispatch_event: give every target of an event its delivery.

Safe to run twice: a record that knows its deliveries is left alone. The event is stored once for each delivery, since
a delivery must outlive the history. Until its first attempt ends, the record says where a delivery stands.

`targets` is a flat list of fours: number, subscription, queue, lane or 0 for the event's own. Without a queue the
subscription has a state or limits, and the delivery may have to wait. `stored_ms` is when the event was stored:
deliveries carry it, so that the wait until they begin can be measured. `expires_ms` says when a delivery may begin no
more; nil or false when it always may.
Returns the entries added, in the order of the targets, or nil when the event was dispatched before; and whether the
entry in the lane is the event's place in the history, and stays.

Uses: prefix, next_entry, at_end, finish_event, count, offer
]]
local dispatched_bytes = 0

at_end[#at_end + 1] = function()
  if dispatched_bytes > 0 then redis.call("HINCRBY", prefix .. ":history", "dispatched_bytes", dispatched_bytes) end
end

local function dispatch_event(event_id, lane, envelope, targets, event_type, stored_ms, expires_ms)
  local record = prefix .. ":event:" .. event_id
  local opened, place = unpack(redis.call("HMGET", record, "open", "log"))
  local stays = not place or string.match(place, "^%d") ~= nil
  if opened then return nil, stays end
  if stays then dispatched_bytes = dispatched_bytes + #envelope end
  local deliveries = #targets / 4
  local fields = { "open", deliveries }
  local entries = {}
  for at = 1, #targets, 4 do
    local name, queue, own_lane = targets[at + 1], targets[at + 2], targets[at + 3]
    if own_lane == 0 then own_lane = lane end
    local delivery, entry = { "s", name, "e", envelope, "t", stored_ms }, nil
    if expires_ms then delivery[7], delivery[8] = "x", expires_ms end
    if queue == "" then
      entry, queue = offer(name, own_lane, delivery)
    else
      entry = next_entry()
      redis.call("XADD", prefix .. ":queue:" .. queue .. ":" .. own_lane, entry, unpack(delivery))
    end
    entries[#entries + 1] = entry
    fields[#fields + 1] = targets[at]
    fields[#fields + 1] = "@" .. queue .. ":" .. own_lane .. ":" .. (entry ~= "" and entry or stored_ms .. "-0")
    count_delivery(event_type, targets[at], "o")
  end
  redis.call("HSET", record, unpack(fields))
  if deliveries == 0 then
    count_event(event_type, "unrouted")
    finish_event(event_id, record, false, event_type)
  end
  return entries, stays
end
