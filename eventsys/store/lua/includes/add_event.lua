--[[
add_event: store one event: in the log of its lane, in the indexes of its type and its chain, as a record, as pending.

An event whose id is stored already, or whose idempotency key was used within its window, is not stored again; the
first one is returned instead. What the system says of itself is kept in a log of its own class, so that neither it nor
the others crowd each other out; its entry in the lane is the dispatcher's, and goes when it is dispatched.

`step` is {"event", id, type, lane, envelope, key or false, window ms, chain or false, expire after ms or 0}; the chain
is the correlation id, where that may be shared with another event. So long after `due_ms`, or after now, a delivery may
still begin.
Returns {"stored", id} or {"duplicate", id of the first, its envelope or false once that is trimmed}.

Uses: prefix, now_ms, at_end, next_entry, numbers_of, next_number, only_number, chain_place, count, forget_cancelled, note_expiry
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

-- When a delivery of the event may begin no more, in ms; nil when it always may.
local function expiry_of(expire_after_ms, due_ms)
  if not expire_after_ms or expire_after_ms == 0 then return nil end
  return string.format("%.0f", (due_ms or now_ms) + expire_after_ms)
end

-- What events of one lane and age have in common, put together once: the log that is their home, and how a place there
-- begins; the stream of their lane, where that is another; and the numbers of the log.
local homes = {}

-- include: of_system

-- The class of what the system says of itself, which has a log of its own; nil for all other events.
local function class_of(event_type)
  return is_of_system(event_type) and string.match(event_type, "^(%a+)%.") or nil
end

local function home_of(class, lane, expires_ms)
  local last = homes[class or lane]
  if last and last.lane == lane and last.expires_ms == expires_ms then return last end
  local name = class or tostring(lane)
  local home = {
    name = name, lane = lane, expires_ms = expires_ms, log = prefix .. ":log:" .. name, place = name .. ":",
    lane_stream = class and prefix .. ":log:" .. lane, numbers = numbers_of(":history", "number:" .. name),
  }
  homes[class or lane] = home
  return home
end

-- What events of one type have in common beside. Where one alone is known to come, no numbers are kept.
local groups = {}

local function group_of(event_type, lane, expire_after_ms, due_ms, is_alone)
  local group = groups[event_type]
  if not group then
    group = { type = event_type, class = class_of(event_type), stream = prefix .. ":type:" .. event_type }
    groups[event_type] = group
  end
  group.home = home_of(group.class, lane, expiry_of(expire_after_ms, due_ms))
  if not is_alone and not group.numbers then group.numbers = numbers_of(":types", event_type) end
  return group
end

local added_bytes, events_key = 0, prefix .. ":event:"

at_end[#at_end + 1] = function()
  if added_bytes > 0 then redis.call("HINCRBY", prefix .. ":history", "added_bytes", added_bytes) end
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
-- Takes a group as `group_of` returns it, and the rest of what a step has; returns nil when the event was stored.
local function store_event(event_id, envelope, group, once, window_ms, chain)
  if once or may_be_cancelled() then
    local first = stored_event(event_id) or (once and first_under_key(once))
    if first then return first end
  end
  if chain then check_chain(chain) end
  local entry, record, home = next_entry(), events_key .. event_id, group.home
  local expires_ms = home.expires_ms
  if redis.call("HSETNX", record, "log", home.place .. entry) == 0 then return stored_event(event_id) end

  local number = group.numbers and next_number(group.numbers) or only_number(":types", group.type)
  local added = redis.pcall("XADD", group.stream, entry, "l", home.name, "n", number)
  if type(added) == "table" then
    redis.call("HDEL", record, "log")
    error(added.err, 0)
  end
  if expires_ms then
    redis.call("XADD", home.log, entry, "e", envelope, "n", next_number(home.numbers), "x", expires_ms)
  else
    redis.call("XADD", home.log, entry, "e", envelope, "n", next_number(home.numbers))
  end
  if home.lane_stream then
    if expires_ms then
      redis.call("XADD", home.lane_stream, entry, "e", envelope, "x", expires_ms)
    else
      redis.call("XADD", home.lane_stream, entry, "e", envelope)
    end
  else
    added_bytes = added_bytes + #envelope
  end
  if once then take_key_once(once, event_id, window_ms) end
  if expires_ms then note_expiry(event_id, expires_ms) end
  enter_pending(event_id)
  if chain then chain_place(chain, event_id, home.name, entry) end
  count_event(group.type, "published")
  return nil
end

local function add_event(step, due_ms)
  local _, event_id, event_type, lane, envelope, once, window_ms, chain, expire_after_ms = unpack(step, 1, 9)
  local group = group_of(event_type, lane, expire_after_ms, due_ms)
  return store_event(event_id, envelope, group, once, window_ms, chain) or { "stored", event_id }
end
