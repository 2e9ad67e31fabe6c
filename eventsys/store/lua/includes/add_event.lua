--[[
add_event: store one event: in the log of its lane, in the index of its type, as a record, as pending.

An event whose id is stored already, or whose idempotency key was used within its window, is not stored again; the
first one is returned instead.

`step` is {"event", id, type, lane, envelope, key or false, window ms}
Returns {"stored", id} or {"duplicate", id of the first, its envelope or false once that is trimmed}.

Uses: prefix, now_ms, next_entry, count, forget_cancelled
]]
local function stored_event(event_id)
  local place, status = unpack(redis.call("HMGET", prefix .. ":event:" .. event_id, "log", "status"))
  if not place then
    -- It was cancelled before it fired, and its id is used again: that is a new event.
    if status then forget_cancelled(event_id) end
    return nil
  end
  local lane, entry = string.match(place, "^(%d+):(.+)$")
  local found = redis.call("XRANGE", prefix .. ":log:" .. lane, entry, entry)
  return { "duplicate", event_id, found[1] and found[1][2][2] or false }
end

local function first_under_key(once, event_id, window_ms)
  local key = prefix .. ":once:" .. once
  local used = redis.call("GET", key)
  if used then
    local until_ms, first_id = string.match(used, "^(%d+) (.+)$")
    if tonumber(until_ms) > now_ms then
      return stored_event(first_id) or { "duplicate", first_id, false }
    end
  end
  redis.call("SET", key, string.format("%.0f %s", now_ms + window_ms, event_id), "PX", 2 * window_ms)
  return nil
end

local function add_event(step)
  local event_id, event_type, lane, envelope, once, window_ms = step[2], step[3], step[4], step[5], step[6], step[7]
  local first = stored_event(event_id) or (once and first_under_key(once, event_id, window_ms))
  if first then return first end

  local entry = next_entry()
  redis.call("XADD", prefix .. ":log:" .. lane, entry, "e", envelope)
  redis.call("XADD", prefix .. ":type:" .. event_type, entry, "l", lane)
  redis.call("HSET", prefix .. ":event:" .. event_id, "log", lane .. ":" .. entry)
  redis.call("ZADD", prefix .. ":pending", now_ms, event_id)
  count_event(event_type, "published")
  return { "stored", event_id }
end
