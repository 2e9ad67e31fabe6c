--[[
end_delivery: write down how a delivery ended, and finish its event when it was the last one open.

A line is `<letter><started ms>,<took µs>,<worker number>[,<JSON of the error>]`; the letter is s succeeded, f failed
and to be tried again, d dead, x expired, c cancelled; and r redriven, so open again. Attempts after the first append
theirs. A delivery of history again has a number such as `3#1`; it changes nothing of what its event had come to. Metrics
get the type of the event, how long the delivery waited since its event was stored (-1: not to be measured), and how long
it took.

Uses: prefix, retention_ms, finish_event, count
]]
-- The number of a subscription as a field; given as a number, Redis would print it anew each time.
local fields_of_numbers = {}

local function field_of(number)
  local field = fields_of_numbers[number]
  if not field then
    field = tostring(number)
    fields_of_numbers[number] = field
  end
  return field
end

-- Returns the record's key, or nil when there is no such record any more, and the letter of the line.
local function write_line(event_id, number, line, is_first, event_type, waited_ms, took_us)
  local record = prefix .. ":event:" .. event_id
  local lines = line
  if not is_first then
    local before = redis.call("HGET", record, number)
    if before and before ~= "" and string.sub(before, 1, 1) ~= "@" then lines = before .. "\n" .. line end
  end
  local letter = string.sub(line, 1, 1)
  local subscription = type(number) == "string" and string.match(number, "^(%d+)#") or number
  count_delivery(event_type, subscription, letter, waited_ms, took_us)
  local field = field_of(number)
  if redis.call("HSET", record, field, lines) == 1 then
    redis.call("HDEL", record, field)
    return nil, letter
  end
  return record, letter
end

local function end_replayed(record)
  if redis.call("HINCRBY", record, "replays", -1) == 0 and redis.call("HGET", record, "open") == "0" then
    redis.call("PEXPIRE", record, 2 * retention_ms)
  end
end

local function end_delivery(event_id, number, line, is_first, event_type, waited_ms, took_us)
  local record, letter = write_line(event_id, number, line, is_first, event_type, waited_ms, took_us)
  if not record then return end
  if type(number) == "string" and string.find(number, "#", 1, true) then return end_replayed(record) end
  if letter ~= "s" then
    redis.call("HSET", record, "trouble", "1")
  end
  if redis.call("HINCRBY", record, "open", "-1") == 0 then
    finish_event(event_id, record, redis.call("HEXISTS", record, "trouble") == 1, event_type)
  end
end
