--[[
find_oldest: look through events that have not ended, oldest first, for the first of each type and of each subscription.

It changes nothing. Call again with the next place until everything that waits is found, or enough has been looked at.

KEYS
  1  prefix of the bus
     Reads below it: pending, event:<id>, log:<lane or class>
ARGV
  1  place   of the first event to look at, from 0
  2  limit   most events to look at
RETURNS
  {events looked at, {type, stored ms, ...}, {number of the subscription, stored ms, ...}}
]]
local prefix = KEYS[1]
local place, limit = tonumber(ARGV[1]), tonumber(ARGV[2])

-- include: last_line

local types, numbers = {}, {}

local function note(found, name, stored_ms)
  if found[name] then return end
  found[name] = true
  found[#found + 1] = name
  found[#found + 1] = stored_ms
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
      note(numbers, name, stored_ms)
    end
  end
  local event_type = type_of(log, envelope)
  if event_type then note(types, event_type, stored_ms) end
end
return { #waiting / 2, types, numbers }
