--[[
cancel_waiting: end what waits for the host of a subscription that has ended, some of it; call again until nothing is
left.

KEYS
  1  prefix of the bus
     Reads and writes below it: waiting, waiting:<subscription>:<lane>, subscriptions:numbers, subscriptions:ended, event:<id>, pending, counts,
     metrics:<...>,
     status:cancelled
ARGV
  1  now_ms          the caller's clock
  2  retention_ms    how long the record of a finished event is kept
  3  subscription
  4  limit           most deliveries to end
  5  must_have_ended 1 when nothing is to be done unless the subscription has ended and is not settled
RETURNS
  how many were ended
]]
local prefix, name = KEYS[1], ARGV[3]
local now_ms, retention_ms = tonumber(ARGV[1]), tonumber(ARGV[2])

redis.call("DEL", prefix .. ":scratch")
if ARGV[5] == "1" and redis.call("HEXISTS", prefix .. ":subscriptions:ended", name) == 0 then return 0 end

-- include: count
-- include: finish_event
-- include: end_delivery
-- include: cancel_delivery

local left = tonumber(ARGV[4])
for _, lane in ipairs({ 10, 8, 5, 1 }) do
  local room = prefix .. ":waiting:" .. name .. ":" .. lane
  local entries = left > 0 and redis.call("XRANGE", room, "-", "+", "COUNT", left) or {}
  for _, entry in ipairs(entries) do
    cancel_delivery(entry[2])
    redis.call("XDEL", room, entry[1])
  end
  left = left - #entries
end
if left == tonumber(ARGV[4]) then
  redis.call("SREM", prefix .. ":waiting", name)
  for _, lane in ipairs({ 10, 8, 5, 1 }) do redis.call("DEL", prefix .. ":waiting:" .. name .. ":" .. lane) end
end
keep_counts()
return tonumber(ARGV[4]) - left
