--[[
trim_indexes: take what the history no longer tells of out of the indexes by status, and out of `pending` and of what
expired that which has no record any more. Call again while it says so.

KEYS
  1  prefix of the bus
     Reads and writes below it: history, status:<status>, event:<id>, pending
ARGV
  1  oldest_ms    what was stored before is old
  2  limit        most entries to look at, of each index
RETURNS
  {entries taken out, 1 if an index of a status has more of them}
]]
local prefix = KEYS[1]
local oldest_ms, limit = tonumber(ARGV[1]), tonumber(ARGV[2])

redis.call("DEL", prefix .. ":scratch")

local history = prefix .. ":history"
local begins = redis.call("HGET", history, "begins")
local begins_ms = math.max(oldest_ms, tonumber(string.match(begins or "", "^%d+") or "0"))
local gone, is_more = 0, 0

for _, status in ipairs({ "failed", "cancelled" }) do
  local index = prefix .. ":status:" .. status
  local old = redis.call("ZRANGEBYSCORE", index, "-inf", string.format("(%.0f", begins_ms), "LIMIT", 0, limit)
  for _, event_id in ipairs(old) do
    redis.call("ZREM", index, event_id)
    local record = prefix .. ":event:" .. event_id
    -- One that was cancelled before it was due never stood in the log, so nothing else takes its record away.
    if redis.call("HEXISTS", record, "log") == 0 then redis.call("DEL", record) end
  end
  gone = gone + #old
  if #old == limit then is_more = 1 end
end

-- Here a record may outlive its entry in the log. A call goes on where the last one ended, and says if that is the end.
local function drop_without_record(name, seen_field)
  local index, seen = prefix .. ":" .. name, redis.call("HGET", history, seen_field)
  local from, until_ms = seen and "(" .. seen or "-inf", string.format("(%.0f", begins_ms)
  local held = redis.call("ZRANGEBYSCORE", index, from, until_ms, "WITHSCORES", "LIMIT", 0, limit)
  for at = 1, #held, 2 do
    if redis.call("EXISTS", prefix .. ":event:" .. held[at]) == 0 then
      redis.call("ZREM", index, held[at])
      gone = gone + 1
    end
  end
  local is_end = #held / 2 < limit
  if is_end then
    redis.call("HDEL", history, seen_field)
  else
    redis.call("HSET", history, seen_field, held[#held])
  end
  return is_end
end

drop_without_record("pending", "pending_seen")
if not drop_without_record("status:expired", "expired_seen") then is_more = 1 end
return { gone, is_more }
