--[[
end_delivery: write down how a delivery ended, and finish its event when it was the last one open.

A line is `<letter><started ms>,<took µs>,<worker number>[,<JSON of the error>]`; the letter is s succeeded, f failed
and to be tried again, d dead, x expired, c cancelled. Attempts after the first append theirs.

Uses: prefix, finish_event, count
]]
local letter_totals = {
  s = "deliveries_succeeded", f = "retries", d = "deliveries_dead", x = "deliveries_expired", c = "deliveries_cancelled",
}

-- Returns the record's key, or nil when there is no such record any more.
local function write_line(event_id, number, line, is_first)
  local record = prefix .. ":event:" .. event_id
  local lines = line
  if not is_first then
    local before = redis.call("HGET", record, number)
    if before and before ~= "" then lines = before .. "\n" .. line end
  end
  count(letter_totals[string.sub(line, 1, 1)], 1)
  if redis.call("HSET", record, number, lines) == 1 then
    redis.call("HDEL", record, number)
    return nil
  end
  return record
end

local function end_delivery(event_id, number, line, is_first)
  local record = write_line(event_id, number, line, is_first)
  if not record then return end
  if string.sub(line, 1, 1) ~= "s" then
    redis.call("HSET", record, "trouble", "1")
  end
  if redis.call("HINCRBY", record, "open", -1) == 0 then
    finish_event(event_id, record, redis.call("HEXISTS", record, "trouble") == 1)
  end
end
