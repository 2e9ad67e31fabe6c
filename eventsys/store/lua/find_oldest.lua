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

local waiting = redis.call("ZRANGE", prefix .. ":pending", place, place + limit - 1, "WITHSCORES")
for at = 1, #waiting, 2 do
  local stored_ms = waiting[at + 1]
  local record = redis.call("HGETALL", prefix .. ":event:" .. waiting[at])
  for field = 1, #record, 2 do
    if record[field] == "log" then
      local home, entry = string.match(record[field + 1], "^(%w+):(.+)$")
      local found = redis.call("XRANGE", prefix .. ":log:" .. home, entry, entry)[1]
      -- A quotation mark inside a text is escaped, so this can only be the field.
      local event_type = found and string.match(found[2][2], '"type":"([^"]+)"')
      if event_type then note(types, event_type, stored_ms) end
    elseif string.match(record[field], "^%d+$") and is_open(record[field + 1]) then
      note(numbers, record[field], stored_ms)
    end
  end
end
return { #waiting / 2, types, numbers }
