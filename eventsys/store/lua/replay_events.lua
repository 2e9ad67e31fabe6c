--[[
replay_events: give a subscription the next events of a replay, and note how far it has come, in one step.

Whoever computed them names the place they follow. If the replay has gone on from there meanwhile nothing is done, so
nothing is given twice and nothing left out, however many processes carry it on and wherever one of them dies. A
delivery of history is a new one, `subscription#number`, in the lowest lane; the event's own status stays what it is.

KEYS
  1  prefix of the bus
     Reads and writes below it: replay:<id>, event:<id>, clock, counts, metrics:<...>, and what admit_deliveries.lua does
ARGV
  1    now_ms      the caller's clock
  2    id          of the replay
  3    cursor      that the events follow; empty at the beginning
  4    next        cursor that they lead to
  5    is_over     1 when nothing lies behind that
  6    scanned     events that were looked at for these
  7    process     who carries the replay on, for others to leave it
  8    until_ms    how long they shall
  9    paid_ms     until when the rate is used up by these events
  10..  events     msgpack: {event id, place in the log, type, envelope}
RETURNS
  {"moved", how many were given}; {"behind"} when the replay had gone on from the cursor; {"ended"} when it does not run;
  {"unknown"} when the subscription has ended
]]
local prefix, id = KEYS[1], ARGV[2]
local now_ms = tonumber(ARGV[1])

redis.call("DEL", prefix .. ":scratch")

-- include: next_entry
-- include: count
-- include: gates

local replay = prefix .. ":replay:" .. id
local state, cursor, name, number, is_backfill =
  unpack(redis.call("HMGET", replay, "state", "cursor", "subscription", "number", "is_backfill"))
if state ~= "running" then return { "ended" } end
if (cursor or "") ~= ARGV[3] then return { "behind" } end
local row = redis.call("HGET", prefix .. ":subscriptions", name)
if not row then return { "unknown" } end
row = cjson.decode(row)
local field = row.number .. "#" .. number

-- Whether the event was delivered to the subscription, when it was new or by another replay.
local function had(record)
  for _, one in ipairs(redis.call("HKEYS", record)) do
    if string.match(one, "^%d+") == tostring(row.number) then return true end
  end
  return false
end

local function give(event_id, place, event_type, envelope)
  local record = prefix .. ":event:" .. event_id
  local at, opened = unpack(redis.call("HMGET", record, "log", "open"))
  -- One that is not dispatched is delivered as all new ones are.
  if at ~= place or not opened or (is_backfill == "1" and had(record)) then return false end
  if redis.call("HSETNX", record, field, "") == 0 then return false end
  redis.call("HINCRBY", record, "replays", 1)
  redis.call("PERSIST", record)
  offer(name, 1, { "s", name, "e", envelope, "o", '{"replay":' .. number .. "}" })
  count_delivery(event_type, row.number, "o")
  return true
end

local given, skipped = 0, 0
for at = 10, #ARGV do
  if give(unpack(cmsgpack.unpack(ARGV[at]))) then given = given + 1 else skipped = skipped + 1 end
end
redis.call("HINCRBY", replay, "delivered", given)
redis.call("HINCRBY", replay, "skipped", skipped)
redis.call("HINCRBY", replay, "scanned", ARGV[6])
redis.call("HSET", replay, "cursor", ARGV[4], "is_over", ARGV[5], "driver", ARGV[7], "driver_until_ms", ARGV[8],
  "paid_ms", ARGV[9], "updated_ms", string.format("%.0f", now_ms))
keep_counts()
keep_entry_clock()
return { "moved", given }
