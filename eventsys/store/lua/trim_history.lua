--[[
trim_history: take the oldest events out of the history: out of the log, and all that belongs to them out of records and
indexes. Call again while it says that there is more.

What is older than the retention goes, and what is beyond a number of events or bytes; never an event that is not
dispatched, nor one behind it. Events of the system are counted by themselves, each class up to its own number.

KEYS
  1  prefix of the bus
     Reads and writes below it: history, types, log:<lane>, log:<class>, type:<type>, chain:<correlation id>, event:<id>,
     counts
ARGV
  1  oldest_ms      what was stored before is old
  2  most_events    beyond, the oldest go though they are young; 0: any number
  3  most_bytes     the same for the bytes of envelopes
  4  of_class       events kept of each class of the system
  5  takes_young    1: go by numbers and bytes too; 0: by age only
  6  limit          most events to take out, of the log and of each class
RETURNS
  {events taken out of the log, how many of these were young, events taken out of the classes, 1 if there is more}
]]
local prefix = KEYS[1]
local oldest_ms, most_events, most_bytes = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local of_class, takes_young, limit = tonumber(ARGV[4]), ARGV[5] == "1", tonumber(ARGV[6])

-- Bytes of envelopes that one call looks at, so that large events do not make it slow.
local most_read = 500000

redis.call("DEL", prefix .. ":scratch")

-- include: let_go
-- include: trim_streams

local history = prefix .. ":history"
local lanes = { "10", "8", "5", "1" }

local function kept_number(field)
  return tonumber(redis.call("HGET", history, field) or "0")
end

local function parts(entry)
  local ms, number = string.match(entry, "^(%d+)-(%d+)$")
  return tonumber(ms), tonumber(number)
end

local function is_before(one, other)
  local ms, number = parts(one)
  local other_ms, other_number = parts(other)
  if ms ~= other_ms then return ms < other_ms end
  return number < other_number
end

local function behind(entry)
  local ms, number = parts(entry)
  return string.format("%.0f-%.0f", ms, number + 1)
end

-- The oldest entry of a lane that the dispatchers are not done with.
local function oldest_undispatched(stream)
  local groups = redis.pcall("XINFO", "GROUPS", stream)
  if groups.err then return nil end
  local delivered
  for _, group in ipairs(groups) do
    local facts = {}
    for at = 1, #group, 2 do facts[group[at]] = group[at + 1] end
    if facts["name"] == "workers" then delivered = facts["last-delivered-id"] end
  end
  if delivered then
    local pending = redis.call("XPENDING", stream, "workers")
    if pending[1] > 0 then return pending[2] end
  end
  local ahead = redis.call("XRANGE", stream, delivered and "(" .. delivered or "-", "+", "COUNT", 1)[1]
  return ahead and ahead[1]
end

local function first_undispatched()
  local first
  for _, lane in ipairs(lanes) do
    local entry = oldest_undispatched(prefix .. ":log:" .. lane)
    if entry and (not first or is_before(entry, first)) then first = entry end
  end
  return first
end

-- The oldest entries of all lanes from a place on, as far as every lane was read, in their order.
local function oldest_entries(begins, size)
  local found, read_to = {}, nil
  for _, lane in ipairs(lanes) do
    local entries = redis.call("XRANGE", prefix .. ":log:" .. lane, begins, "+", "COUNT", size)
    for _, entry in ipairs(entries) do found[#found + 1] = { entry[1], lane, entry[2] } end
    local last = entries[size] and entries[size][1]
    if last and (not read_to or is_before(last, read_to)) then read_to = last end
  end
  table.sort(found, function(one, other) return is_before(one[1], other[1]) end)
  while read_to and is_before(read_to, found[#found][1]) do found[#found] = nil end
  return found
end

local touched_types, touched_chains = {}, {}

local function take_out(home, entry, fields, is_old)
  local event_type, chain = let_go(home, entry, fields[2], is_old)
  if event_type then touched_types[event_type] = true end
  if chain then touched_chains[chain] = true end
end

local function finish(begins)
  for event_type in pairs(touched_types) do trim_type(event_type, begins) end
  if next(touched_chains) then note_beginnings() end
  for chain in pairs(touched_chains) do trim_chain(chain) end
  touched_types, touched_chains = {}, {}
end

-- Bytes that wait for their dispatch are counted by difference; when none wait, what a lost entry left of it goes.
local function trim_main()
  local begins = redis.call("HGET", history, "begins") or "0-0"
  local events, bytes = 0, kept_number("added_bytes") - kept_number("trimmed_bytes")
  local trimmed = {}
  for _, lane in ipairs(lanes) do
    trimmed[lane] = kept_number("trimmed:" .. lane)
    events = events + kept_number("number:" .. lane) - trimmed[lane]
  end
  local function reason(entry)
    if parts(entry) < oldest_ms then return "old" end
    local is_beyond = (most_events > 0 and events > most_events) or (most_bytes > 0 and bytes > most_bytes)
    return takes_young and is_beyond and "young" or nil
  end

  local undispatched = first_undispatched()
  if not undispatched then redis.call("HSET", history, "dispatched_bytes", kept_number("added_bytes")) end
  local first = oldest_entries(begins, 1)[1]
  if not first or not reason(first[1]) then return 0, 0, false end
  local size = math.max(1, math.min(limit, math.floor(most_read / math.max(1, bytes / math.max(1, events)))))
  local gone, young, gone_bytes, is_more = 0, 0, 0, true
  local entries = oldest_entries(begins, size)
  for at = 1, math.min(size, #entries) do
    local entry, lane, fields = unpack(entries[at])
    local why = reason(entry)
    if not why or (undispatched and not is_before(entry, undispatched)) then
      is_more = false
      break
    end
    take_out(lane, entry, fields, why == "old")
    begins, gone = behind(entry), gone + 1
    if fields[3] == "n" then
      trimmed[lane], events = tonumber(fields[4]), events - 1
      bytes, gone_bytes = bytes - #fields[2], gone_bytes + #fields[2]
      if why == "young" then young = young + 1 end
    end
  end
  if gone > 0 then
    redis.call("HSET", history, "begins", begins)
    redis.call("HINCRBY", history, "trimmed_bytes", gone_bytes)
    for lane, number in pairs(trimmed) do
      redis.call("HSET", history, "trimmed:" .. lane, number)
      trim_log(lane, begins)
    end
    finish(begins)
  end
  return gone, young, is_more
end

local function trim_class(class)
  local trimmed = kept_number("trimmed:" .. class)
  local surplus = kept_number("number:" .. class) - trimmed - of_class
  if surplus <= 0 then return 0, false end
  local begins = redis.call("HGET", history, "begins:" .. class) or "0-0"
  local entries = redis.call("XRANGE", prefix .. ":log:" .. class, begins, "+", "COUNT", math.min(limit, surplus))
  for _, entry in ipairs(entries) do
    take_out(class, entry[1], entry[2], false)
    begins, trimmed = behind(entry[1]), entry[2][4]
  end
  redis.call("HSET", history, "begins:" .. class, begins, "trimmed:" .. class, trimmed)
  trim_log(class, begins)
  finish(begins)
  return #entries, surplus > #entries
end

local gone, young, is_more = trim_main()
local of_classes = 0
for _, class in ipairs({ "system", "cron" }) do
  local taken, has_more = trim_class(class)
  of_classes = of_classes + taken
  is_more = is_more or has_more
end
if gone + of_classes > 0 then
  redis.call("HINCRBY", prefix .. ":counts", "trimmed_events", gone + of_classes)
  redis.call("HINCRBY", prefix .. ":counts", "trimmed_young_events", young)
end
return { gone, young, of_classes, is_more and 1 or 0 }
