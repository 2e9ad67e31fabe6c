--[[
lone_event: store an event that is published by itself, as most are, in what that takes at least.

It leaves behind just what add_event does for it (a test compares all keys), without the functions and tables by which that
stores many alike: they cost more than the event. What is not plain is left to add_event; where it turns out to be stored
already, a name of an entry is left out.

Uses: prefix, now_ms, next_entry
]]
-- include: of_system
-- `step` is {"events", 1, ...} as add.lua has it. Returns 1 when the event was stored, and nil when nothing was done: where it
-- has a key, a chain or an expiry, is the system's own, may be stored already, or the history is full.
local function store_lone_event(step, envelope)
  local lane, once, _, chain, expire_after_ms, _, event_type, _, event_id = unpack(step, 3, 11)
  if once or chain or expire_after_ms ~= 0 or is_of_system(event_type) then return nil end
  local history, home = prefix .. ":history", tostring(lane)
  local most, bytes, dispatched, number =
    unpack(redis.call("HMGET", history, "most_bytes", "added_bytes", "dispatched_bytes", "number:" .. home))
  bytes = tonumber(bytes or 0)
  if most and bytes - tonumber(dispatched or 0) >= tonumber(most) then return nil end
  if redis.call("EXISTS", prefix .. ":status:cancelled") == 1 then return nil end

  -- In this order, for the reasons that store_event has.
  local entry, record = next_entry(), prefix .. ":event:" .. event_id
  if redis.call("HSETNX", record, "log", home .. ":" .. entry) == 0 then return nil end
  local of_type = string.format("%d", redis.call("HINCRBY", prefix .. ":types", event_type, "1"))
  local added = redis.pcall("XADD", prefix .. ":type:" .. event_type, entry, "l", home, "n", of_type)
  if type(added) == "table" then
    redis.call("HDEL", record, "log")
    error(added.err, 0)
  end
  number = string.format("%d", (number or 0) + 1)
  redis.call("XADD", prefix .. ":log:" .. home, entry, "e", envelope, "n", number)
  redis.call("HSET", history, "number:" .. home, number, "added_bytes", string.format("%.0f", bytes + #envelope))
  redis.call("ZADD", prefix .. ":pending", string.format("%.0f", now_ms), event_id)
  local counted = cmsgpack.pack({ math.floor(now_ms / 60000), { { false, "published", { [event_type] = 1 } } } })
  redis.call("RPUSH", prefix .. ":metrics:journal", counted)
  redis.call("HINCRBY", prefix .. ":counts", "total_events", "1")
  return 1
end
