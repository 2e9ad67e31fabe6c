--[[
dispatch_event: give every target of an event its delivery.

Safe to run twice: a record that knows its deliveries is left alone. The event is stored once for each delivery, since
a delivery must outlive the history. Until its first attempt ends, the record says where a delivery stands.

`targets` is a flat list of fours: number, subscription, queue, lane or 0 for the event's own. Without a queue the
subscription has a state or limits, and the delivery may have to wait. `stored_ms` is when the event was stored:
deliveries carry it, so that the wait until they begin can be measured. `expires_ms` says when a delivery may begin no
more; nil or false when it always may.
Returns the entries added, in the order of the targets, or nil when the event was dispatched before; and whether the
entry in the lane is the event's place in the history, and stays. Where there are some, whoever called counts them with
`count_opened`.

Uses: prefix, next_entry, at_end, finish_event, count, offer
]]
-- include: print_number
local dispatched_bytes = 0

at_end[#at_end + 1] = function()
  if dispatched_bytes > 0 then redis.call("HINCRBY", prefix .. ":history", "dispatched_bytes", dispatched_bytes) end
end

-- Of each queue and lane its stream, and how a place in it begins: put together once.
local lanes_of_queues = {}

local function lane_of(queue, lane)
  local of_queue = lanes_of_queues[queue]
  if not of_queue then
    of_queue = {}
    lanes_of_queues[queue] = of_queue
  end
  local found = of_queue[lane]
  if not found then
    found = { stream = prefix .. ":queue:" .. queue .. ":" .. lane, place = "@" .. queue .. ":" .. lane .. ":" }
    of_queue[lane] = found
  end
  return found
end

-- Puts a delivery where it belongs; returns its entry, "" when it waits, and its place.
local function add_delivery(name, queue, lane, envelope, stored_ms, expires_ms)
  if queue == "" then
    local delivery = { "s", name, "e", envelope, "t", stored_ms }
    if expires_ms then delivery[7], delivery[8] = "x", expires_ms end
    local entry, its_queue = offer(name, lane, delivery)
    return entry, lane_of(its_queue, lane).place .. (entry ~= "" and entry or stored_ms .. "-0")
  end
  local entry, found = next_entry(), lane_of(queue, lane)
  if expires_ms then
    redis.call("XADD", found.stream, entry, "s", name, "e", envelope, "t", stored_ms, "x", expires_ms)
  else
    redis.call("XADD", found.stream, entry, "s", name, "e", envelope, "t", stored_ms)
  end
  return entry, found.place .. entry
end

local function dispatch_event(event_id, lane, envelope, targets, event_type, stored_ms, expires_ms)
  local record = prefix .. ":event:" .. event_id
  local known = redis.call("HMGET", record, "open", "log")
  local stays = not known[2] or string.find(known[2], "^%d") ~= nil
  if known[1] then return nil, stays end
  if stays then dispatched_bytes = dispatched_bytes + #envelope end
  local deliveries, last = #targets / 4, 2
  local fields, entries = { "open", print_number(deliveries) }, {}
  for at = 1, deliveries do
    local number, own_lane = targets[4 * at - 3], targets[4 * at]
    if own_lane == 0 then own_lane = lane end
    entries[at], fields[last + 2] = add_delivery(targets[4 * at - 2], targets[4 * at - 1], own_lane, envelope, stored_ms, expires_ms)
    fields[last + 1] = print_number(number)
    last = last + 2
  end
  redis.call("HSET", record, unpack(fields))
  if deliveries == 0 then
    count_event(event_type, "unrouted")
    finish_event(event_id, record, false, event_type)
  end
  return entries, stays
end
