--[[
purge_letters: drop dead letters for good. Their events stay failed, or fail now.

The delivery of what nobody could read, of what was forged and of a retry that could not be moved has been open all the
time. It ends with its letter; else it would be repaired as one without a message, and what was purged be handled.

KEYS
  1  prefix of the bus
     Reads and writes below it: dead, dead:<letter id>, letters:<owner>, subscriptions:renamed, subscriptions:names, subscriptions:numbers,
     queue:<queue>:<lane>, waiting:<subscription>:<lane>, delayed:ids:<bucket>, event:<id>, pending, expiring, status:<status>, counts,
     metrics:<...>
ARGV
  1    now_ms          the caller's clock
  2    retention_ms    how long the record of a finished event is kept
  3..  letters         letter id, and died_ms as the caller read it; of each in turn
RETURNS
  how many were dropped: one that died again since it was read stays
]]
local prefix = KEYS[1]
local now_ms, retention_ms = tonumber(ARGV[1]), tonumber(ARGV[2])

redis.call("DEL", prefix .. ":scratch")

-- Entries of a waiting room.
local most_looked_through = 200

-- include: count
-- include: finish_event
-- include: end_delivery
-- include: delivery_number
-- include: next_entry
-- include: gates
-- include: forget_cancelled
-- include: add_delayed
-- include: drop_letter

-- Id and type of the event that an envelope tells of, as far as it can be read.
local function event_of(envelope)
  local event_id, event_type = string.match(envelope, '^{"id":"([^"\\]+)","type":"([^"\\]+)"')
  if event_id then return event_id, event_type end
  local is_read, header = pcall(cjson.decode, envelope)
  if is_read and type(header) == "table" then return header.id, header.type end
end

-- Of what waits in a room no more is known than about when it came there.
local function is_in_room(room, from, event_id)
  for _, entry in ipairs(redis.call("XRANGE", room, from, "+", "COUNT", most_looked_through)) do
    if event_of(entry[2][4] or "") == event_id then return true end
  end
  return false
end

-- Whether a delivery is open, and not because its own message waits still: a letter may be of a forged copy. One that a
-- replay gave and nobody has begun has no line yet.
local function is_left_open(lines, event_id, name)
  local letter = lines and last_line_letter(lines)
  if letter == "" then return true end
  if letter == "f" or letter == "r" then
    local id = event_id .. ":" .. name
    return redis.call("HEXISTS", delayed_bucket("ids", id), id) == 0
  end
  if letter ~= "@" then return false end
  local queue, lane, entry = string.match(lines, "^@(.*):(%d+):(%d+%-%d+)$")
  if not queue then return true end
  if queue == "" then return not is_in_room(prefix .. ":waiting:" .. name .. ":" .. lane, entry, event_id) end
  return #redis.call("XRANGE", prefix .. ":queue:" .. queue .. ":" .. lane, entry, entry) == 0
end

local function end_with_letter(letter)
  local event_id, event_type = event_of(letter.e)
  local name = letter_subscription(letter.s, letter.number)
  local number = delivery_number({ "s", name, "o", letter.o })
  if type(event_id) ~= "string" or not number then return end
  if not is_left_open(redis.call("HGET", prefix .. ":event:" .. event_id, number), event_id, name) then return end
  local line = string.format("d%.0f,0,0,%s", now_ms, cjson.encode({ letter.error or "", "" }))
  end_delivery(event_id, number, line, false, event_type, -1, -1)
end

local dropped = 0
for at = 3, #ARGV, 2 do
  local names, letter = { "died_ms", "owner", "number", "reason", "error", "s", "e", "o" }, {}
  local values = redis.call("HMGET", prefix .. ":dead:" .. ARGV[at], unpack(names))
  for place, name in ipairs(names) do letter[name] = values[place] or nil end
  if letter.died_ms == ARGV[at + 1] and drop_letter(ARGV[at], letter.owner, letter.number) then
    dropped = dropped + 1
    local may_be_open = letter.owner == "junk" or letter.reason == "unfired"
    if may_be_open and letter.s and letter.e then end_with_letter(letter) end
  end
end
count("letters_purged", dropped)
keep_counts()
return dropped
