--[[
end_unbegun: end the deliveries of a fired event that nobody has begun, as `letter` says: c cancelled, x expired.

An event that is not dispatched yet has no deliveries, and gets none: it ends with the status that `status` names. What a
process holds, what has been tried, and what is over is left alone.
Returns how many deliveries were ended, 1 for an event that was not dispatched; and how many are left that nobody has
tried.

Uses: prefix, now_ms, retention_ms, count, finish_event, end_delivery, find_delivery
]]
local function end_undispatched(event_id, record, place, status)
  redis.call("HSET", record, "open", 0, "status", status, "ended_ms", string.format("%.0f", now_ms))
  -- The dispatcher passes its entry in the lane over, so the history need not be kept for that.
  local lane, entry = string.match(place, "^(%d+):(.+)$")
  local found = lane and redis.call("XRANGE", prefix .. ":log:" .. lane, entry, entry)[1]
  if found then redis.call("HINCRBY", prefix .. ":history", "dispatched_bytes", #found[2][2]) end
  conclude_event(event_id, record, status, logged_type(place))
end

-- include: spared

-- Says whether a delivery may begin whenever the state of its subscription allows it: that holds it back, or did.
local function is_held_back(name, entry, fields)
  if not limit_of(fields) then return true end
  return is_spared(redis.call("HGET", prefix .. ":subscriptions:renamed", name) or name, entry, fields)
end

local function end_unbegun(event_id, letter, status, limit)
  local record = prefix .. ":event:" .. event_id
  local fields = redis.call("HGETALL", record)
  local values = {}
  for at = 1, #fields, 2 do values[fields[at]] = fields[at + 1] end
  if values.status or not values.log or values.open == "0" then return 0, 0 end
  if not values.open then
    end_undispatched(event_id, record, values.log, status)
    return 1, 0
  end
  local ended, left = 0, 0
  for number, place in pairs(values) do
    if string.match(number, "^%d+$") and string.sub(place, 1, 1) == "@" then
      local name = redis.call("HGET", prefix .. ":subscriptions:names", number)
      local stream, entry, found
      if name then stream, entry, found = find_delivery(event_id, name, place, limit) end
      if stream and letter == "x" and is_held_back(name, entry, found) then
        -- It is left alone.
      elseif stream then
        drop_entry(stream, entry, name)
        end_delivery(event_id, number, string.format("%s%.0f,0,0", letter, now_ms), true, logged_type(values.log))
        ended = ended + 1
      else
        left = left + 1
      end
    end
  end
  return ended, left
end
