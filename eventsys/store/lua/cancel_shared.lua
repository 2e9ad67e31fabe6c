--[[
cancel_shared: end what a subscription that has ended has on a queue that it shared with others, some of it; call again
until all has been looked at.

For a queue that nobody reads: whoever reads it ends what it comes to. What a process holds whose lease nobody has ended
is spared. How far this has come is kept, since the others may have millions there. What waits for its next attempt is
ended first, else it could come to a lane that was looked at.

KEYS
  1  prefix of the bus
     Reads and writes below it: queue:<queue>:<lane>, processes, crashes, settling:<subscription>, delayed:due, delayed:bodies,
     delayed:far:due, delayed:far:bodies, delayed:ids:<bucket>, delayed:keys:<bucket>, delayed:chain:<correlation id>,
     delayed:queues, delayed:messages, delayed:priorities, delayed:failed, subscriptions:numbers, subscriptions:ended,
     event:<id>, pending, expiring, counts, metrics:<...>, status:cancelled
ARGV
  1  now_ms          the caller's clock
  2  retention_ms    how long the record of a finished event is kept
  3  subscription
  4  queue
  5  limit           most entries to look at
RETURNS
  1; 0 when all has been looked at, or when none of this name has ended that is not settled and is listed with this queue
]]
local prefix, name, queue, limit = KEYS[1], ARGV[3], ARGV[4], tonumber(ARGV[5])
local now_ms, retention_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local place = prefix .. ":settling:" .. name

redis.call("DEL", prefix .. ":scratch")
-- Declared anew meanwhile, it may have ended once more, and with its last host: then what it has there is left.
if redis.call("HGET", prefix .. ":subscriptions:ended", name) ~= queue then return 0 end

-- include: count
-- include: finish_event
-- include: end_delivery
-- include: cancel_delivery
-- include: forget_cancelled
-- include: add_delayed
-- include: held_by_living

-- By the number: some may bear a name that it had before.
local own = redis.call("HGET", prefix .. ":subscriptions:numbers", name)

local function is_own(fields)
  local number = fields[1] == "s" and delivery_number(fields)
  return number and string.match(number, "^%d+") == own
end

-- Each looks at some from a place on, and returns where to go on, nil when there is no more.
local function sweep_delayed(cursor)
  if redis.call("HEXISTS", prefix .. ":delayed:queues", queue) == 0 then return nil end
  local following, members = unpack(redis.call("SSCAN", prefix .. ":delayed:messages", cursor, "COUNT", limit))
  for _, member in ipairs(members) do
    local due, bodies = near_due, near_bodies
    local body = redis.call("HGET", bodies, member)
    if not body then
      due, bodies = far_due, far_bodies
      body = redis.call("HGET", bodies, member)
    end
    local entry = body and unpack_entry(body)
    if entry and entry[2] == queue and entry[3][1] == "message" and is_own(entry[3][4]) then
      cancel_delivery(entry[3][4])
      remove_delayed(entry, member, due, bodies)
    end
  end
  return following ~= "0" and following or nil
end

local function sweep_lane(stream, from)
  local entries = redis.call("XRANGE", stream, from, "+", "COUNT", limit)
  if #entries == 0 then return nil end
  local last = entries[#entries][1]
  local held = held_by_living(stream, 0, entries[1][1], last)
  for _, entry in ipairs(entries) do
    if not held[entry[1]] and is_own(entry[2]) then
      cancel_delivery(entry[2])
      redis.pcall("XACK", stream, "workers", entry[1])
      redis.call("XDEL", stream, entry[1])
      redis.call("HDEL", prefix .. ":crashes", stream .. "|" .. entry[1])
    end
  end
  return #entries == limit and "(" .. last or nil
end

local lanes = { 10, 8, 5, 1 }
local part, from = string.match(redis.call("GET", place) or "0 0", "^(%d) (%S+)$")
part = tonumber(part)
local following
if part == 0 then
  following = sweep_delayed(from)
else
  following = sweep_lane(prefix .. ":queue:" .. queue .. ":" .. lanes[part], from)
end
if not following then part, following = part + 1, "-" end
if part <= #lanes then
  redis.call("SET", place, part .. " " .. following, "EX", 3600)
else
  redis.call("DEL", place)
end
keep_counts()
return part <= #lanes and 1 or 0
