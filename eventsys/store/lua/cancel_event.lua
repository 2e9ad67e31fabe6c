--[[
cancel_event: take events back: those that are not due leave the delayed store, of those that have fired the deliveries
end that nobody has begun.

Exactly one side wins: either the poller let an event go before, or it never goes; either a process had fetched a
delivery before, or nobody ever runs it. Sent again after a lost reply, at the same moment, it finds what it did.

KEYS
  1  prefix of the bus
     Reads and writes below it: delayed:due, delayed:bodies, delayed:far:due, delayed:far:bodies, delayed:ids:<bucket>,
     delayed:keys:<bucket>, delayed:queues, delayed:messages, delayed:priorities, delayed:failed, event:<id>, counts, metrics:<...>, pending, expiring, status:<status>,
     subscriptions:names, log:<lane>, history, queue:<queue>:<lane>, waiting:<subscription>:<lane>,
     subscriptions, subscriptions:renamed, slots:<subscription>, releases, waiting
ARGV
  1    now_ms          the caller's clock
  2    retention_ms    how long the record of a finished event is kept
  3    limit           most entries of a stream to look through for a delivery that was moved
  4..  ids             of the events; "=" and a key for the one that waits under it
RETURNS
  for each {"cancelled", due ms, body} when it waited; {"ended", deliveries ended, id} when it had fired; {"unknown"};
  {"before", deliveries ended, id, "ended" or "unknown"} when it was taken back at this very moment: by this call, if its
  reply was lost, else by another one, and then it is what the last says
]]
local prefix = KEYS[1]
local now_ms, retention_ms, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

redis.call("DEL", prefix .. ":scratch")

-- include: count
-- include: forget_cancelled
-- include: finish_event
-- include: end_delivery
-- include: find_delivery
-- include: end_unbegun
-- include: add_delayed
-- include: cancel_unfired

-- How much of an event was taken back at this very moment: by this call, where its reply was lost.
local function ended_before(record)
  local fields = redis.call("HGETALL", record)
  local line, ended = string.format("c%.0f,0,0", now_ms), 0
  for at = 1, #fields, 2 do
    local is_own = fields[at] == "ended_ms" and fields[at + 1] == ARGV[1]
    if is_own or string.match(fields[at], "^%d+$") and fields[at + 1] == line then ended = ended + 1 end
  end
  return ended
end

local function cancel(id)
  local due_ms, entry = cancel_unfired(id, retention_ms)
  if due_ms then return { "cancelled", string.format("%.0f", due_ms), pack_entry(entry) } end
  local record = prefix .. ":event:" .. id
  local has_fired = redis.call("HEXISTS", record, "log") == 1
  local ended = has_fired and end_unbegun(id, "c", "cancelled", limit) or 0
  local before = ended == 0 and ended_before(record) or 0
  if before > 0 then return { "before", before, id, has_fired and "ended" or "unknown" } end
  return has_fired and { "ended", ended, id } or { "unknown" }
end

-- Which event waited under a key and was taken back at this very moment: nothing waits under it any more.
local function cancelled_under(key)
  local status = prefix .. ":status:cancelled"
  for _, id in ipairs(redis.call("ZRANGE", status, ARGV[1], ARGV[1], "BYSCORE", "LIMIT", 0, limit)) do
    if redis.call("HGET", prefix .. ":event:" .. id, "key") == key then return id end
  end
end

local results = {}
for at = 4, #ARGV do
  local id = ARGV[at]
  if string.sub(id, 1, 1) == "=" then
    local key = string.sub(id, 2)
    id = redis.call("HGET", delayed_bucket("keys", key), key) or cancelled_under(key)
  end
  results[#results + 1] = id and cancel(id) or { "unknown" }
end
keep_counts()
return results
