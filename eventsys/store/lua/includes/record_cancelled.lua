--[[
record_cancelled: write down that a delayed event was cancelled before it was due.

`entry` is the body of its entry in the delayed store. The event counts from here on: it never reaches the log.

Uses: prefix, now_ms, count
]]
local function record_cancelled(entry, due_ms, retention_ms)
  local id, facts = entry[1], entry[4]
  local record = prefix .. ":event:" .. id
  count_event(entry[3][3], "published")
  count_event(entry[3][3], "cancelled")
  redis.call("ZADD", prefix .. ":status:cancelled", now_ms, id)
  redis.call(
    "HSET", record, "status", "cancelled", "envelope", entry[3][5], "due_ms", string.format("%.0f", due_ms), "ended_ms",
    string.format("%.0f", now_ms)
  )
  if facts.created_ms then redis.call("HSET", record, "created_ms", string.format("%.0f", facts.created_ms)) end
  if facts.key then redis.call("HSET", record, "key", facts.key) end
  redis.call("PEXPIRE", record, 2 * retention_ms)
end
