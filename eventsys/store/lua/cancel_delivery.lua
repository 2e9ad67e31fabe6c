--[[
cancel_delivery: end one delivery that waits: for its next attempt, or to be begun.

Sent again after a lost reply, at the same moment, it finds what it did, and says so.

KEYS
  1  prefix of the bus
     Reads and writes below it: delayed:due, delayed:bodies, delayed:far:due, delayed:far:bodies, delayed:ids:<bucket>,
     delayed:keys:<bucket>, delayed:queues, delayed:priorities, event:<id>, counts, metrics:<...>, pending, expiring, status:<status>, subscriptions:numbers,
     log:<lane>, queue:<queue>:<lane>, waiting:<subscription>:<lane>, subscriptions,
     subscriptions:renamed, slots:<subscription>, releases, waiting
ARGV
  1  now_ms          the caller's clock
  2  retention_ms    how long the record of a finished event is kept
  3  limit           most entries of a stream to look through for a delivery that was moved
  4  event id
  5  subscription
RETURNS
  {"cancelled"; "before" when it was at this very moment, by this call if its reply was lost; "running" when it is running
  or over; or "unknown" when the event has no such delivery; the present name of the subscription}
]]
local prefix, event_id = KEYS[1], ARGV[4]
local now_ms, retention_ms, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

redis.call("DEL", prefix .. ":scratch")

-- include: count
-- include: forget_cancelled
-- include: finish_event
-- include: end_delivery
-- include: find_delivery
-- include: add_delayed

local renamed = prefix .. ":subscriptions:renamed"
local name = redis.call("HGET", renamed, ARGV[5]) or ARGV[5]
local end_line = string.format("c%.0f,0,0", now_ms)

-- What waits for its next attempt since before its subscription was renamed goes by the former name.
local function find_retry()
  local member, due_ms, entry, due, bodies = find_delayed(event_id .. ":" .. name)
  local names = member and {} or redis.call("HGETALL", renamed)
  for at = 1, #names, 2 do
    if not member and names[at + 1] == name then
      member, due_ms, entry, due, bodies = find_delayed(event_id .. ":" .. names[at])
    end
  end
  return member, due_ms, entry, due, bodies
end

local function cancel()
  local number = redis.call("HGET", prefix .. ":subscriptions:numbers", name)
  local line = number and redis.call("HGET", prefix .. ":event:" .. event_id, number)
  if not line then return "unknown" end
  if string.sub(line, -#end_line) == end_line then return "before" end
  local member, _, entry, due, bodies = find_retry()
  if member then
    remove_delayed(entry, member, due, bodies)
  else
    local stream, at = find_delivery(event_id, name, line, limit)
    if not stream then return "running" end
    drop_entry(stream, at, name)
  end
  local place = redis.call("HGET", prefix .. ":event:" .. event_id, "log")
  end_delivery(event_id, number, end_line, false, logged_type(place))
  return "cancelled"
end

local outcome = cancel()
keep_counts()
return { outcome, name }
