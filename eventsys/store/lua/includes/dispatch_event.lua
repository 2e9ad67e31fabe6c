--[[
dispatch_event: give every target of an event its delivery.

Safe to run twice: a record that knows its deliveries is left alone. The event is stored once for each delivery, since
a delivery must outlive the history. Until its first attempt ends, the record says where a delivery stands.

`targets` is a flat list of fours: number, subscription, queue, lane or 0 for the event's own. Without a queue the
subscription has a state or limits, and the delivery may have to wait. `stored_ms` is when the event was stored:
deliveries carry it, so that the wait until they begin can be measured. `expires_ms` says when a delivery may begin no
more; nil or false when it always may.
Returns the entries added, in the order of the targets, until the next call; nil when the event was dispatched before; and whether the
entry in the lane is the event's place in the history, and stays. Where there are some, whoever called counts them with
`count_opened`.

Uses: prefix, next_entry, at_end, finish_event, count, offer
]]
-- include: print_number
local dispatched_bytes, most_written = 0, 1000

at_end[#at_end + 1] = function()
  if dispatched_bytes > 0 then redis.call("HINCRBY", prefix .. ":history", "dispatched_bytes", dispatched_bytes) end
end

-- Of each list of targets what it comes to for events of one lane, put together once, because one serves many events: the
-- fields of the record, with room for the places, and of each target its stream and how a place in it begins.
local routes = {}

local function way_to(queue, lane)
  return { stream = prefix .. ":queue:" .. queue .. ":" .. lane, place = "@" .. queue .. ":" .. lane .. ":" }
end

local function route_of(targets, lane)
  local of_lanes = routes[targets]
  if not of_lanes then
    of_lanes = {}
    routes[targets] = of_lanes
  end
  local route = of_lanes[lane]
  if not route then
    route = { fields = { "open", print_number(#targets / 4) }, entries = {}, ways = {} }
    for at = 1, #targets, 4 do
      route.fields[#route.fields + 1] = print_number(targets[at])
      route.fields[#route.fields + 1] = ""
      route.ways[#route.ways + 1] = way_to(targets[at + 2], targets[at + 3] == 0 and lane or targets[at + 3])
    end
    of_lanes[lane] = route
  end
  return route
end

-- Lets a delivery go where its state and limits allow; returns its entry, "" when it waits, and its place.
local function offer_delivery(name, lane, envelope, stored_ms, expires_ms)
  local delivery = { "s", name, "e", envelope, "t", stored_ms }
  if expires_ms then delivery[7], delivery[8] = "x", expires_ms end
  local entry, queue = offer(name, lane, delivery)
  return entry, way_to(queue, lane).place .. (entry ~= "" and entry or stored_ms .. "-0")
end

local function dispatch_event(event_id, lane, envelope, targets, event_type, stored_ms, expires_ms)
  local record = prefix .. ":event:" .. event_id
  local known = redis.call("HMGET", record, "open", "log")
  local stays = not known[2] or string.find(known[2], "^%d") ~= nil
  if known[1] then return nil, stays end
  if stays then dispatched_bytes = dispatched_bytes + #envelope end
  local route = route_of(targets, lane)
  local fields, entries = route.fields, route.entries
  for at, way in ipairs(route.ways) do
    local name, queue = targets[4 * at - 2], targets[4 * at - 1]
    if queue == "" then
      local own_lane = targets[4 * at] == 0 and lane or targets[4 * at]
      entries[at], fields[2 * at + 2] = offer_delivery(name, own_lane, envelope, stored_ms, expires_ms)
    else
      local entry = next_entry()
      if expires_ms then
        redis.call("XADD", way.stream, entry, "s", name, "e", envelope, "t", stored_ms, "x", expires_ms)
      else
        redis.call("XADD", way.stream, entry, "s", name, "e", envelope, "t", stored_ms)
      end
      entries[at], fields[2 * at + 2] = entry, way.place .. entry
    end
  end
  -- A call takes some thousand values and no more.
  for first = 1, #fields, most_written do
    redis.call("HSET", record, unpack(fields, first, math.min(first + most_written - 1, #fields)))
  end
  if #entries == 0 then
    count_event(event_type, "unrouted")
    finish_event(event_id, record, false, event_type)
  end
  return entries, stays
end
