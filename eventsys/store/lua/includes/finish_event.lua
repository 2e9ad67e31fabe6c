--[[
finish_event: give an event its final status, once its last open delivery has ended.

Failed when any delivery is dead; else expired when any is; else cancelled when all are; else delivered. Only then does
the record get an expiry, twice the retention: the sweeps remove it by its stored time, the expiry is for what they
miss. What the system says of itself is kept by number, however old it is, so its record has to last as long as its
entry in the log, with which it goes: it gets an expiry that never comes, since that also says that the event is over.

Uses: prefix, now_ms, retention_ms, count
]]
-- include: cron_waits
-- include: expiring
-- include: last_line

local function status_of_deliveries(record)
  local fields = redis.call("HGETALL", record)
  local dead, expired, cancelled, ended = false, false, 0, 0
  for at = 1, #fields, 2 do
    if string.match(fields[at], "^%d+$") then
      local letter = last_line_letter(fields[at + 1])
      ended = ended + 1
      dead = dead or letter == "d"
      expired = expired or letter == "x"
      if letter == "c" then cancelled = cancelled + 1 end
    end
  end
  if dead then return "failed" end
  if expired then return "expired" end
  if ended > 0 and cancelled == ended then return "cancelled" end
  return "delivered"
end

local endless_ms = "315360000000"
local record_kept_ms

local function expire_record(record, event_type)
  local first = event_type and string.match(event_type, "^[^.]*")
  if (first == "system" or first == "cron") and redis.call("HEXISTS", record, "envelope") == 0 then
    redis.call("PEXPIRE", record, endless_ms)
    return
  end
  record_kept_ms = record_kept_ms or string.format("%.0f", 2 * retention_ms)
  redis.call("PEXPIRE", record, record_kept_ms)
end

local function conclude_event(event_id, record, status, event_type)
  if status ~= "delivered" then
    local logged_ms = string.match(redis.call("HGET", record, "log") or "", ":(%d+)") or now_ms
    redis.call("ZADD", prefix .. ":status:" .. status, logged_ms, event_id)
  end
  leave_pending(event_id)
  forget_expiry(event_id)
  expire_record(record, event_type)
  count_event(event_type, status)
  notice_run_end(event_id)
end

local function finish_event(event_id, record, has_trouble, event_type)
  local status = "delivered"
  if has_trouble then
    status = status_of_deliveries(record)
    redis.call("HSET", record, "status", status)
  end
  conclude_event(event_id, record, status, event_type)
end
