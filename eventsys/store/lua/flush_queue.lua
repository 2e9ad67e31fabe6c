--[[
flush_queue: drop what waits on one lane, some of it; call again from behind that until nothing is left.

A dropped delivery ends as cancelled, so its event does not stay pending for ever.

KEYS
  1  prefix of the bus
     Reads and writes below it: the lane given, processes, crashes, subscriptions:numbers, subscriptions:ended,
     slots:<subscription>, event:<id>, pending, expiring, counts, metrics:<...>, status:cancelled
ARGV
  1  now_ms          the caller's clock
  2  retention_ms    how long the record of a finished event is kept
  3  lane            its key
  4  limit           most entries to look at
  5  ended           the subscription that must have ended and not be settled, else nothing is dropped; empty: none must
  6  real_ms         real time, which leases are measured in: what living processes hold is spared; 0: nothing is
  7  from            where on the lane to begin, as XRANGE takes it
RETURNS
  the last entry that was looked at, empty when there are no more behind it; and how many were spared
]]
local prefix, stream = KEYS[1], ARGV[3]
local now_ms, retention_ms = tonumber(ARGV[1]), tonumber(ARGV[2])

-- include: count
-- include: finish_event
-- include: end_delivery
-- include: cancel_delivery

redis.call("DEL", prefix .. ":scratch")
if ARGV[5] ~= "" and redis.call("HEXISTS", prefix .. ":subscriptions:ended", ARGV[5]) == 0 then return { "", 0 } end

-- include: held_by_living

local function drop(entry)
  cancel_delivery(entry[2])
  redis.pcall("XACK", stream, "workers", entry[1])
  redis.call("XDEL", stream, entry[1])
  redis.call("HDEL", prefix .. ":crashes", stream .. "|" .. entry[1])
  if entry[2][1] == "s" then redis.call("ZREM", prefix .. ":slots:" .. entry[2][2], stream .. "|" .. entry[1]) end
end

local entries, spared = redis.call("XRANGE", stream, ARGV[7], "+", "COUNT", ARGV[4]), 0
local last = #entries > 0 and entries[#entries][1] or ""
local held = {}
if ARGV[6] ~= "0" and last ~= "" then held = held_by_living(stream, tonumber(ARGV[6]), entries[1][1], last) end
for _, entry in ipairs(entries) do
  if held[entry[1]] then
    spared = spared + 1
  else
    drop(entry)
  end
end
keep_counts()
return { #entries == tonumber(ARGV[4]) and last or "", spared }
