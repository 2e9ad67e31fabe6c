--[[
find_oldest: look through events that have not ended, oldest first, for the first of each type and of each subscription.

A delivery that was redriven is as old as its last redrive, however long it had been a letter. It changes nothing. Call
again with the next place until everything that waits is found, or enough has been looked at. What is found for a
subscription is its oldest once it is no later than the last event looked at: those behind were stored after that.

KEYS
  1  prefix of the bus
     Reads below it: pending, event:<id>, log:<lane or class>
ARGV
  1  place   of the first event to look at, from 0
  2  limit   most events to look at
RETURNS
  {events looked at, {type, stored ms, ...}, {number of the subscription, open since ms, ...}, when the last event looked
  at was stored, in ms, or 0}
]]
local prefix = KEYS[1]
local place, limit = tonumber(ARGV[1]), tonumber(ARGV[2])

-- include: last_line

local types, numbers = {}, {}

local function note(found, name, since_ms)
  local at = found[name]
  if not at then
    at = #found + 2
    found[name], found[at - 1] = at, name
  elseif tonumber(found[at]) <= tonumber(since_ms) then
    return
  end
  found[at] = since_ms
end

-- Looked for as plain text: lines hold tracebacks.
local function redriven_ms(lines)
  local found, at = string.match(lines, "^r(%d+),"), string.find(lines, "\nr", 1, true)
  while at do
    found = string.match(lines, "^r(%d+),", at + 1) or found
    at = string.find(lines, "\nr", at + 1, true)
  end
  return found
end

local function is_open(lines)
  local letter = last_line_letter(lines)
  return letter == "@" or letter == "f" or letter == "r"
end

-- What the log has let go is kept in the record until it ends.
local function type_of(log, envelope)
  local home, entry = string.match(log or "", "^(%w+):(.+)$")
  local found = home and redis.call("XRANGE", prefix .. ":log:" .. home, entry, entry)[1]
  envelope = found and found[2][2] or envelope
  -- A quotation mark inside a text is escaped, so this can only be the field.
  return envelope and string.match(envelope, '"type":"([^"]+)"')
end

local waiting = redis.call("ZRANGE", prefix .. ":pending", place, place + limit - 1, "WITHSCORES")
for at = 1, #waiting, 2 do
  local stored_ms = waiting[at + 1]
  local record = redis.call("HGETALL", prefix .. ":event:" .. waiting[at])
  local log, envelope
  for field = 1, #record, 2 do
    local name, value = record[field], record[field + 1]
    if name == "log" then
      log = value
    elseif name == "envelope" then
      envelope = value
    elseif string.match(name, "^%d+$") and is_open(value) then
      note(numbers, name, redriven_ms(value) or stored_ms)
    end
  end
  local event_type = type_of(log, envelope)
  if event_type then note(types, event_type, stored_ms) end
end
return { #waiting / 2, types, numbers, waiting[#waiting] or 0 }
