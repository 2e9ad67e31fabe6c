--[[
end_delivery: write down how a delivery ended, and finish its event when it was the last one open.

A line is `<letter><started ms>,<took µs>,<worker number>[,<JSON of the error>]`; the letter is s succeeded, f failed
and to be tried again, d dead, x expired, c cancelled; and r redriven, so open again. Attempts after the first append
theirs. A delivery of history again has a number such as `3#1`; it changes nothing of what its event had come to. Metrics
get the type of the event, how long the delivery waited since its event was stored (-1: not to be measured), and how long
it took.

Deliveries of one event that end together are written together.

Uses: prefix, retention_ms, finish_event, count
]]
-- include: print_number
local function with_line(before, line)
  if before == "" or string.sub(before, 1, 1) == "@" then return line end
  return before .. "\n" .. line
end

-- Writes the line of an attempt after which its delivery is open still, or of a delivery of history again. Returns the
-- record's key, or nil when there is no such record any more.
local function write_line(event_id, number, line, is_first, event_type, waited_ms, took_us)
  local record, field = prefix .. ":event:" .. event_id, print_number(number)
  local before = redis.call("HGET", record, field)
  local subscription = type(number) == "string" and string.match(number, "^(%d+)#") or number
  count_delivery(event_type, subscription, string.sub(line, 1, 1), waited_ms, took_us)
  if not before then return nil end
  redis.call("HSET", record, field, is_first and line or with_line(before, line))
  return record
end

local function end_replayed(record, event_type)
  if redis.call("HINCRBY", record, "replays", -1) == 0 and redis.call("HGET", record, "open") == "0" then
    expire_record(record, event_type)
  end
end

-- What a record is asked for, and what is written to it. They are used again and again. Only lines that are gone on with
-- are read: making a text of what is overwritten costs more than writing does.
local asked, changes = { "open", "trouble" }, {}

-- Ends deliveries that stand in `ends` from `first` to `last`: number, line, is first of each, one every `step`. They are
-- counted by whoever calls. `letter` is how all of them ended, "s" when it is not given.
-- Returns the record's key and whether there was trouble, when none is open any more.
local function write_ends(event_id, ends, first, last, step, letter)
  local record, many = prefix .. ":event:" .. event_id, 2
  for at = first, last, step do
    if not ends[at + 2] then
      many = many + 1
      asked[many] = print_number(ends[at])
    end
  end
  local values = redis.call("HMGET", record, unpack(asked, 1, many))
  -- Without that there is no such record any more.
  if not values[1] then return nil end
  local written, place = 0, 2
  for at = first, last, step do
    local line = ends[at + 1]
    if not ends[at + 2] then
      place = place + 1
      line = values[place] and with_line(values[place], line)
    end
    if line then
      changes[written + 1], changes[written + 2] = print_number(ends[at]), line
      written = written + 2
    end
  end
  if written == 0 then return nil end
  local open, ended, has_trouble = tonumber(values[1]), written / 2, values[2] ~= false
  changes[written + 1], changes[written + 2] = "open", print_number(open - ended)
  written = written + 2
  if letter and letter ~= "s" then
    changes[written + 1], changes[written + 2] = "trouble", "1"
    written, has_trouble = written + 2, true
  end
  redis.call("HSET", record, unpack(changes, 1, written))
  if open <= 0 or open > ended then return nil end
  return record, has_trouble
end

local function end_delivery(event_id, number, line, is_first, event_type, waited_ms, took_us)
  if type(number) == "string" and string.find(number, "#", 1, true) then
    local record = write_line(event_id, number, line, is_first, event_type, waited_ms, took_us)
    if record then end_replayed(record, event_type) end
    return
  end
  local letter = string.sub(line, 1, 1)
  local record, has_trouble = write_ends(event_id, { number, line, is_first }, 1, 1, 3, letter)
  count_delivery(event_type, number, letter, waited_ms, took_us)
  if record then finish_event(event_id, record, has_trouble, event_type) end
end
