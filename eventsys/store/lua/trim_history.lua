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

-- Entries of one lane that are read at a time: those that turn out to be younger than what goes were read in vain.
local most_ahead = 25

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

local function behind(ms, number)
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

-- Where the oldest of them stands, as milliseconds and number; behind everything when there is none.
local function first_undispatched()
  local first_ms, first_number = math.huge, 0
  for _, lane in ipairs(lanes) do
    local entry = oldest_undispatched(prefix .. ":log:" .. lane)
    if entry then
      local ms, number = parts(entry)
      if ms < first_ms or (ms == first_ms and number < first_number) then
        first_ms, first_number = ms, number
      end
    end
  end
  return first_ms, first_number
end

-- Every lane is in order, so the oldest event of all is the next one of some lane. They are read on a part at a time,
-- and the place of each entry is taken apart once.
local function read_on(lane, count)
  lane.entries, lane.at = redis.call("XRANGE", lane.stream, lane.from, "+", "COUNT", count), 0
  if lane.entries[1] then lane.from = "(" .. lane.entries[#lane.entries][1] end
end

local function advance(lane, count)
  if lane.at == #lane.entries then read_on(lane, count) end
  lane.at = lane.at + 1
  lane.entry = lane.entries[lane.at]
  if lane.entry then
    lane.ms, lane.number = parts(lane.entry[1])
  else
    lane.ms = math.huge
  end
end

local function first_entries(begins)
  local heads = {}
  for _, name in ipairs(lanes) do
    local lane = { name = name, stream = prefix .. ":log:" .. name, from = begins, entries = {}, at = 0 }
    advance(lane, 1)
    if lane.entry then heads[#heads + 1] = lane end
  end
  return heads
end

local function oldest_of(heads)
  local first = heads[1]
  for at = 2, #heads do
    local lane = heads[at]
    if lane.ms < first.ms or (lane.ms == first.ms and lane.number < first.number) then first = lane end
  end
  return first
end

-- Ids of events that have no other correlation id are kept apart, because hardly any of them is that of a chain.
local touched_types, touched_chains, lone_events = {}, {}, {}

local function take_out(home, entry, fields, is_old)
  local event_id, event_type, chain = let_go(home, entry, fields[2], is_old)
  if not event_id then return end
  touched_types[event_type] = true
  if chain == event_id then
    lone_events[#lone_events + 1] = event_id
  else
    touched_chains[chain] = true
  end
end

local function finish(begins, of_class)
  delete_records()
  for event_type in pairs(touched_types) do trim_type(event_type, begins) end
  note_beginnings()
  for chain in pairs(touched_chains) do trim_chain(chain, of_class) end
  trim_chains_begun(lone_events, of_class)
  touched_types, touched_chains, lone_events = {}, {}, {}
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
  local function reason(ms)
    if ms < oldest_ms then return "old" end
    local is_beyond = (most_events > 0 and events > most_events) or (most_bytes > 0 and bytes > most_bytes)
    return takes_young and is_beyond and "young" or nil
  end

  local undispatched_ms, undispatched_number = first_undispatched()
  if undispatched_ms == math.huge then
    redis.call("HSET", history, "dispatched_bytes", kept_number("added_bytes"))
  end
  local heads = first_entries(begins)
  local size = math.max(1, math.min(limit, math.floor(most_read / math.max(1, bytes / math.max(1, events)))))
  local part = math.min(size, most_ahead)
  local gone, young, gone_bytes, is_more = 0, 0, 0, false
  local last_ms, last_number
  while true do
    local lane = oldest_of(heads)
    local why = lane and lane.entry and reason(lane.ms)
    if
      not why
      or lane.ms > undispatched_ms
      or (lane.ms == undispatched_ms and lane.number >= undispatched_number)
    then
      break
    end
    if gone == size or gone_bytes >= most_read then
      is_more = true
      break
    end
    local entry, fields = lane.entry[1], lane.entry[2]
    take_out(lane.name, entry, fields, why == "old")
    last_ms, last_number, gone = lane.ms, lane.number, gone + 1
    if fields[3] == "n" then
      trimmed[lane.name], events = fields[4], events - 1
      bytes, gone_bytes = bytes - #fields[2], gone_bytes + #fields[2]
      if why == "young" then young = young + 1 end
    end
    advance(lane, part)
  end
  if gone > 0 then
    begins = behind(last_ms, last_number)
    redis.call("HSET", history, "begins", begins)
    redis.call("HINCRBY", history, "trimmed_bytes", gone_bytes)
    for lane, number in pairs(trimmed) do
      redis.call("HSET", history, "trimmed:" .. lane, number)
      trim_log(lane, begins)
    end
    finish(begins, false)
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
    trimmed = entry[2][4]
  end
  if entries[1] then begins = behind(parts(entries[#entries][1])) end
  redis.call("HSET", history, "begins:" .. class, begins, "trimmed:" .. class, trimmed)
  trim_log(class, begins)
  finish(begins, true)
  -- Where the log has lost entries, there may be none left of those that are too many.
  return #entries, #entries > 0 and surplus > #entries
end

local gone, young, is_more = trim_main()
local of_classes = 0
for _, class in ipairs({ "system", "cron" }) do
  local taken, has_more = trim_class(class)
  of_classes = of_classes + taken
  is_more = is_more or has_more
end
if gone > 0 then
  redis.call("HINCRBY", prefix .. ":counts", "trimmed_events", gone)
  redis.call("HINCRBY", prefix .. ":counts", "trimmed_young_events", young)
end
return { gone, young, of_classes, is_more and 1 or 0 }
