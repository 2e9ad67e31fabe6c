--[[
add_event: store one event: in the log of its lane, in the indexes of its type and its chain, as a record, as pending.

An event whose id is stored already, or whose idempotency key was used within its window, is not stored again; the
first one is returned instead. What the system says of itself is kept in a log of its own class, so that neither it nor
the others crowd each other out; its entry in the lane is the dispatcher's, and goes when it is dispatched.

`step` is {"event", id, type, lane, envelope, key or false, window ms, chain or false, expire after ms or 0}; the chain
is the correlation id, where that may be shared with another event. So long after `due_ms`, or after now, a delivery may
still begin.
Returns {"stored", id} or {"duplicate", id of the first, its envelope or false once that is trimmed}.

Uses: prefix, now_ms, at_end, next_entry, number_entry, chain_place, count, forget_cancelled, note_expiry
]]
local function stored_event(event_id)
  local known = redis.call("HMGET", prefix .. ":event:" .. event_id, "log", "status", "envelope")
  local place, kept = known[1], known[3]
  if not place then
    -- It was cancelled before it fired, and its id is used again: that is a new event.
    if known[2] then forget_cancelled(event_id) end
    return nil
  end
  local home, entry = string.match(place, "^(%w+):(.+)$")
  local found = redis.call("XRANGE", prefix .. ":log:" .. home, entry, entry)
  return { "duplicate", event_id, found[1] and found[1][2][2] or kept }
end

local function first_under_key(once)
  local used = redis.call("GET", prefix .. ":once:" .. once)
  if not used then return nil end
  local until_ms, first_id = string.match(used, "^(%d+) (.+)$")
  if tonumber(until_ms) <= now_ms then return nil end
  return stored_event(first_id) or { "duplicate", first_id, false }
end

local function take_key_once(once, event_id, window_ms)
  local until_ms = string.format("%.0f %s", now_ms + window_ms, event_id)
  redis.call("SET", prefix .. ":once:" .. once, until_ms, "PX", 2 * window_ms)
end

-- Of each type its stream and its class, and of each lane and class its log and where the numbers of that are kept: put
-- together once.
local types, homes = {}, {}

local function type_of(event_type)
  local found = types[event_type]
  if not found then
    local class = string.match(event_type, "^(system)%.") or string.match(event_type, "^(cron)%.")
    found = { stream = prefix .. ":type:" .. event_type, class = class }
    types[event_type] = found
  end
  return found
end

local function home_of(home)
  local found = homes[home]
  if not found then
    found = { log = prefix .. ":log:" .. home, number = "number:" .. home, place = home .. ":", name = tostring(home) }
    homes[home] = found
  end
  return found
end

local added_bytes = 0

at_end[#at_end + 1] = function()
  if added_bytes > 0 then redis.call("HINCRBY", prefix .. ":history", "added_bytes", added_bytes) end
end

-- When a delivery of the event may begin no more, in ms; nil when it always may.
local function expiry_of(expire_after_ms, due_ms)
  if not expire_after_ms or expire_after_ms == 0 then return nil end
  return string.format("%.0f", (due_ms or now_ms) + expire_after_ms)
end

-- Whether anything was: only then may an id have a record and be free, as that of an event cancelled before it fired.
local has_cancelled

local function may_be_cancelled()
  if has_cancelled == nil then has_cancelled = redis.call("EXISTS", prefix .. ":status:cancelled") == 1 end
  return has_cancelled
end

-- Redis takes back nothing that was written before an error, and whoever met one tries again. So the keys whose names
-- users choose come first: a record, an idempotency key or a chain of another type fails when it is read. What fails
-- at the type gives the record up again. Only then the event enters the log.
-- Takes what a step has behind its kind; returns nil when the event was stored.
local function store_event(event_id, event_type, lane, envelope, once, window_ms, chain, expire_after_ms, due_ms)
  if once or may_be_cancelled() then
    local first = stored_event(event_id) or (once and first_under_key(once))
    if first then return first end
  end
  if chain then check_chain(chain) end
  local entry, its_type, record = next_entry(), type_of(event_type), prefix .. ":event:" .. event_id
  local class = its_type.class
  local home, expires_ms = home_of(class or lane), expiry_of(expire_after_ms, due_ms)
  if redis.call("HSETNX", record, "log", home.place .. entry) == 0 then return stored_event(event_id) end

  local number = number_entry(":types", event_type)
  local added = redis.pcall("XADD", its_type.stream, entry, "l", home.name, "n", number)
  if type(added) == "table" then
    redis.call("HDEL", record, "log")
    error(added.err, 0)
  end
  number = number_entry(":history", home.number)
  if expires_ms then
    redis.call("XADD", home.log, entry, "e", envelope, "n", number, "x", expires_ms)
  else
    redis.call("XADD", home.log, entry, "e", envelope, "n", number)
  end
  if class then
    local stream = home_of(lane).log
    if expires_ms then
      redis.call("XADD", stream, entry, "e", envelope, "x", expires_ms)
    else
      redis.call("XADD", stream, entry, "e", envelope)
    end
  else
    added_bytes = added_bytes + #envelope
  end
  if once then take_key_once(once, event_id, window_ms) end
  if expires_ms then note_expiry(event_id, expires_ms) end
  enter_pending(event_id)
  if chain then chain_place(chain, event_id, home.name, entry) end
  count_event(event_type, "published")
  return nil
end

local function add_event(step, due_ms)
  local _, event_id, event_type, lane, envelope, once, window_ms, chain, expire_after_ms = unpack(step, 1, 9)
  return store_event(event_id, event_type, lane, envelope, once, window_ms, chain, expire_after_ms, due_ms)
    or { "stored", event_id }
end
