--[[
expire_events: end the deliveries that nobody has begun of events that are too late, some of them; call again until
nothing is left.

What a process holds is left to it: it looks at the time before it begins, and if it dies somebody looks again a minute
later. What the state of its subscription holds back carries no limit, and is left alone.

KEYS
  1  prefix of the bus
     Reads and writes below it: expiring, event:<id>, counts, metrics:<...>, pending, status:<status>, log:<lane>, history,
     subscriptions, subscriptions:names, subscriptions:renamed, queue:<queue>:<lane>, waiting,
     waiting:<subscription>:<lane>, slots:<subscription>, releases
ARGV
  1  now_ms          the caller's clock
  2  retention_ms    how long the record of a finished event is kept
  3  look_through    most entries of a stream to look through for a delivery that was moved
  4  again_ms        when to look again at an event of which something is held
  5  limit           most events to look at
RETURNS
  {events looked at, deliveries ended}
]]
local prefix = KEYS[1]
local now_ms, retention_ms, look_through_limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

redis.call("DEL", prefix .. ":scratch")

-- include: count
-- include: finish_event
-- include: end_delivery
-- include: find_delivery
-- include: end_unbegun

local late = redis.call("ZRANGE", expiring_key, "-inf", "(" .. ARGV[1], "BYSCORE", "LIMIT", 0, tonumber(ARGV[5]))
local ended = 0
for _, event_id in ipairs(late) do
  local now_ended, left = end_unbegun(event_id, "x", "expired", look_through_limit)
  ended = ended + now_ended
  if left > 0 then
    redis.call("ZADD", expiring_key, "XX", ARGV[4], event_id)
  else
    redis.call("ZREM", expiring_key, event_id)
  end
end
keep_counts()
return { #late, ended }
