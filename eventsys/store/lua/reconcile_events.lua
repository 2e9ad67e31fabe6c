--[[
reconcile_events: look at some of the events that have been pending for a while, and repair what no process ever leaves
behind: a delivery without a message, a count of open deliveries that does not fit, an event that nobody dispatches.

Everything else changes a record and the message that belongs to it in one step, so such a thing is the work of a hand, or
of a Redis that lost a part of what it had. Looking and repairing are one step too: what is found is not under way,
and several may run this at once. What would take too long to look through is left for another time.

KEYS
  1  prefix of the bus
     Reads and writes below it: pending, event:<id>, history, counts, metrics:<...>, expiring, status:<status>, log:<lane>, log:<class>, clock,
     dead:<letter id>, letters:junk, delayed:due, delayed:bodies, delayed:far:due, delayed:far:bodies,
     delayed:ids:<bucket>, queues, eventsys.inline's lanes, subscriptions:names, and what admit_deliveries.lua does
ARGV
  1  now_ms          the caller's clock
  2  retention_ms    how long the record of a finished event is kept
  3  before_ms       only what was stored before is looked at
  4  look_through    most entries of streams to look through
  5  limit           most events to look at
RETURNS
  {1 when the last of them was looked at, else 0; ids of the events that were repaired, and what was done to each, in turn:
  put_back, dispatched, counted, finished; or refused, and why}
]]
local prefix = KEYS[1]
local now_ms, retention_ms, before_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

redis.call("DEL", prefix .. ":scratch")

-- include: count
-- include: forget_cancelled
-- include: finish_event
-- include: end_delivery
-- include: next_entry
-- include: gates
-- include: add_delayed
-- include: message_of
-- include: put_back

budget.left = tonumber(ARGV[4])
local pending, history = prefix .. ":pending", prefix .. ":history"
local repairs = {}

local function note(event_id, what)
  repairs[#repairs + 1] = event_id
  repairs[#repairs + 1] = what
  count("reconciled", 1)
end

local function is_open(value)
  local letter = last_line_letter(value)
  return letter == "@" or letter == "f" or letter == "r"
end

local function read_record(event_id)
  local record = prefix .. ":event:" .. event_id
  local flat, values = redis.call("HGETALL", record), {}
  if #flat == 0 then return nil end
  local found = { id = event_id, record = record, values = values, lines = {}, open = 0, has_trouble = false }
  for at = 1, #flat, 2 do
    values[flat[at]] = flat[at + 1]
    if string.match(flat[at], "^%d+$") then
      found.lines[flat[at]] = flat[at + 1]
      if is_open(flat[at + 1]) then found.open = found.open + 1 end
      found.has_trouble = found.has_trouble or last_line_letter(flat[at + 1]) ~= "s"
    end
  end
  found.home, found.entry = string.match(values.log or "", "^(%w+):(%d+%-%d+)$")
  local logged = found.entry and redis.call("XRANGE", prefix .. ":log:" .. found.home, found.entry, found.entry)[1]
  found.envelope = logged and logged[2][2] or values.envelope
  found.type = found.envelope and string.match(found.envelope, '^{"id":".-","type":"([^"]+)"')
  found.stored_ms = found.entry and string.match(found.entry, "^%d+") or string.format("%.0f", now_ms)
  return found
end

local function stop_pending(found)
  leave_pending(found.id)
  forget_expiry(found.id)
  expire_record(found.record, found.type)
end

local function finish(found)
  if found.values.status or redis.call("PTTL", found.record) >= 0 then
    -- It was finished, and counted, before.
    stop_pending(found)
  else
    finish_event(found.id, found.record, found.has_trouble, found.type)
  end
  note(found.id, "finished")
end

local function is_ahead(entry, last)
  local ms, number = string.match(entry, "^(%d+)%-(%d+)$")
  local last_ms, last_number = string.match(last, "^(%d+)%-(%d+)$")
  ms, last_ms = tonumber(ms), tonumber(last_ms)
  return ms > last_ms or (ms == last_ms and tonumber(number) > tonumber(last_number))
end

-- Up to where the dispatchers were given the entries of a lane; nil where they have not begun.
local given = {}
local function given_of(stream)
  if given[stream] ~= nil then return given[stream] end
  given[stream] = false
  local groups = redis.pcall("XINFO", "GROUPS", stream)
  for _, group in ipairs(groups.err and {} or groups) do
    local facts = {}
    for at = 1, #group, 2 do facts[group[at]] = group[at + 1] end
    if facts["name"] == "workers" then given[stream] = facts["last-delivered-id"] end
  end
  return given[stream]
end

-- Says whether a dispatcher has the entry, or will be given it.
local function will_be_dispatched(stream, entry)
  local last = given_of(stream)
  if not last or is_ahead(entry, last) then return true end
  return #redis.call("XPENDING", stream, "workers", entry, entry, 1) > 0
end

-- The entry of a lane that is the dispatchers' is the event's place in the log, or stands under the same name where the
-- log of a class keeps the event; or where an earlier repair put it.
local function dispatchers_entry(found)
  local lane, entry = string.match(found.values.again or "", "^(%d+):(.+)$")
  entry = entry or found.entry
  for _, one in ipairs(lane and { lane } or room_and_queue_lanes) do
    local stream = prefix .. ":log:" .. one
    if entry and redis.call("EXISTS", prefix .. ":dead:" .. stream .. "|" .. entry) == 1 then return stream, entry, true end
    if entry and #redis.call("XRANGE", stream, entry, entry) == 1 then return stream, entry, false end
  end
end

local function add_for_dispatchers(found)
  local is_read, header = pcall(cjson.decode, found.envelope)
  local lane, entry = string.format("%.0f", is_read and header.priority or 5), next_entry()
  redis.call("XADD", prefix .. ":log:" .. lane, entry, "e", found.envelope)
  redis.call("HSET", found.record, "again", lane .. ":" .. entry)
end

local function reconcile_undispatched(found)
  local stream, entry, is_letter_there = dispatchers_entry(found)
  if stream and (is_letter_there or will_be_dispatched(stream, entry)) then return end
  if stream then
    redis.call("XCLAIM", stream, "workers", "returned", 0, entry, "FORCE", "JUSTID")
    redis.call("INCR", prefix .. ":news")
    note(found.id, "dispatched")
  elseif found.envelope then
    add_for_dispatchers(found)
    note(found.id, "dispatched")
  else
    redis.call("HSET", found.record, "open", 0, "trouble", "1", "status", "failed")
    conclude_event(found.id, found.record, "failed", found.type)
    note(found.id, "finished")
  end
end

-- Returns false where it could not be found out.
local function reconcile_delivery(found, number, value)
  local name = redis.call("HGET", prefix .. ":subscriptions:names", number)
  if not name then return true end
  local names, now_called = names_of(name)
  local has_one = has_message(found.id, value, names, now_called, found.entry or "-")
  if has_one == nil then return false end
  if not has_one then note(found.id, put_back(found, number, value, now_called)) end
  return true
end

local function reconcile(event_id)
  local found = read_record(event_id)
  if not found then
    redis.call("ZREM", pending, event_id)
    note(event_id, "finished")
    return true
  end
  local counted_open = tonumber(found.values.open or nil)
  if not counted_open and not next(found.lines) and not found.values.status then
    reconcile_undispatched(found)
    return true
  end
  if counted_open ~= found.open then redis.call("HSET", found.record, "open", found.open) end
  if found.open == 0 then
    finish(found)
    return true
  end
  if counted_open ~= found.open then note(event_id, "counted") end
  if found.values.status then redis.call("HDEL", found.record, "status") end
  local is_sure = true
  for number, value in pairs(found.lines) do
    if is_open(value) then is_sure = reconcile_delivery(found, number, value) and is_sure end
  end
  return is_sure
end

-- Where the last look ended: behind that event, or where it has left, at the first of those stored with it.
local function first_place()
  local stored_ms, event_id = string.match(redis.call("HGET", history, "pending_reconciled") or "", "^(%d+) (.*)$")
  if not event_id then return 0 end
  local place = redis.call("ZRANK", pending, event_id)
  if place then return place + 1 end
  return redis.call("ZCOUNT", pending, "-inf", "(" .. stored_ms)
end

local limit, place = tonumber(ARGV[5]), first_place()
local held = redis.call("ZRANGE", pending, place, place + limit - 1, "WITHSCORES")
local is_over, seen = #held / 2 < limit, nil
for at = 1, #held, 2 do
  local event_id, stored_ms = held[at], tonumber(held[at + 1])
  if stored_ms >= before_ms then
    is_over = true
    break
  end
  local is_first = budget.left == tonumber(ARGV[4])
  local is_fine, is_sure = pcall(reconcile, event_id)
  if not is_fine then
    repairs[#repairs + 1] = event_id
    repairs[#repairs + 1] = "refused " .. (type(is_sure) == "table" and is_sure.err or tostring(is_sure))
  end
  -- One that alone takes more than a script may is passed over; else it is the first of the next.
  if is_fine and not is_sure and not is_first then
    is_over = false
    break
  end
  seen = string.format("%.0f %s", stored_ms, event_id)
  if budget.left <= 0 then
    is_over = false
    break
  end
end
if is_over then
  redis.call("HDEL", history, "pending_reconciled")
elseif seen then
  redis.call("HSET", history, "pending_reconciled", seen)
end
keep_counts()
keep_entry_clock()
return { is_over and 1 or 0, unpack(repairs) }
