--[[
cancel_delivery: end one delivery that waits: for its next attempt, or to be begun.

Sent again after a lost reply, at the same moment, it finds what it did, and says so.

KEYS
  1  prefix of the bus
     Reads and writes below it: delayed:due, delayed:bodies, delayed:far:due, delayed:far:bodies, delayed:ids:<bucket>,
     delayed:keys:<bucket>, delayed:queues, delayed:messages, delayed:priorities, delayed:failed, event:<id>, counts, metrics:<...>, pending, expiring, status:<status>, subscriptions:numbers,
     log:<lane>, queue:<queue>:<lane>, waiting:<subscription>:<lane>, subscriptions,
     subscriptions:renamed, slots:<subscription>, releases, waiting
ARGV
  1  now_ms          the caller's clock
  2  retention_ms    how long the record of a finished event is kept
  3  limit           most entries of a stream to look through for a delivery that was moved
  4  event id
  5  subscription    its name; of a delivery of history again, with `#` and the number of the replay behind it
RETURNS
  {"cancelled"; "before" when it was at this very moment, by this call if its reply was lost; "running" when it is running
  or over; or "unknown" when the event has no such delivery; the present name of the subscription, with the number of the replay}
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
local numbers = prefix .. ":subscriptions:numbers"
local given, replay = ARGV[5], nil
-- A name may have such a sign of its own.
if redis.call("HEXISTS", numbers, given) == 0 then
  local stem, number = string.match(given, "^(.+)#(%d+)$")
  given, replay = stem or given, number
end
local name = redis.call("HGET", renamed, given) or given
local suffix = replay and "#" .. replay or ""
local end_line = string.format("c%.0f,0,0", now_ms)

-- What waits for its next attempt since before its subscription was renamed goes by the former name.
local function find_retry()
  local member, due_ms, entry, due, bodies = find_delayed(event_id .. ":" .. name .. suffix)
  local names = member and {} or redis.call("HGETALL", renamed)
  for at = 1, #names, 2 do
    if not member and names[at + 1] == name then
      member, due_ms, entry, due, bodies = find_delayed(event_id .. ":" .. names[at] .. suffix)
    end
  end
  return member, due_ms, entry, due, bodies
end

-- Where a delivery stands that nobody has begun. The record of one of history again does not say: those are in the lowest
-- lane.
local function find_unbegun(line)
  if not replay then return find_delivery(event_id, name, line, limit) end
  if line ~= "" then return nil end
  local is_it = string.format('"replay": ?%s[,}]', replay)
  return find_moved(event_id, name, "", 1, "-", limit, function(fields)
    return fields[5] == "o" and string.find(fields[6], is_it) ~= nil
  end)
end

local function cancel()
  local number = redis.call("HGET", numbers, name)
  number = number and number .. suffix
  local line = number and redis.call("HGET", prefix .. ":event:" .. event_id, number)
  if not line then return "unknown" end
  if string.sub(line, -#end_line) == end_line then return "before" end
  local member, _, entry, due, bodies = find_retry()
  if member then
    remove_delayed(entry, member, due, bodies)
  else
    local stream, at = find_unbegun(line)
    if not stream then return "running" end
    drop_entry(stream, at, name)
  end
  local place = redis.call("HGET", prefix .. ":event:" .. event_id, "log")
  end_delivery(event_id, number, end_line, false, logged_type(place))
  return "cancelled"
end

local outcome = cancel()
keep_counts()
return { outcome, name .. suffix }
