--[[
trim_names: forget the numbers by which records name subscriptions and processes that are gone for good.

A number is forgotten when its owner has been gone, at each look since the first, for longer than any record may be kept.
What is not gone after all is left alone. What was counted of a subscription is counted of all that are gone from then on.

KEYS
  1  prefix of the bus
     Reads and writes below it: names:gone, subscriptions, subscriptions:names, subscriptions:numbers, replays:numbers, workers,
     metrics:deliveries, metrics:delivery:<pair>, metrics:times:<pair>
ARGV
  1    now_ms     the caller's clock
  2    kept_ms    how long a number is kept after its owner was first seen gone
  3    workers    how many of the following numbers are those of processes; the others are those of subscriptions
  4..  numbers    whose owners seem to be gone
RETURNS
  how many were forgotten
]]
local prefix = KEYS[1]
local now_ms, kept_ms, workers = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local gone = prefix .. ":names:gone"

redis.call("DEL", prefix .. ":scratch")

-- include: fold_counters

-- Pairs of counters folded at once.
local most_folded = 100

-- Says whether a number has been seen gone for long enough.
local function is_over(mark)
  redis.call("ZADD", gone, "NX", now_ms, mark)
  return tonumber(redis.call("ZSCORE", gone, mark)) <= now_ms - kept_ms
end

local function forget_subscription(number, name)
  redis.call("ZREM", gone, "subscription " .. number)
  redis.call("HDEL", prefix .. ":subscriptions:names", number)
  if redis.call("HGET", prefix .. ":subscriptions:numbers", name) == number then
    redis.call("HDEL", prefix .. ":subscriptions:numbers", name)
    -- Should the name come back, its number is another one: no record calls a delivery of its replays as one of these.
    redis.call("HDEL", prefix .. ":replays:numbers", name)
  end
end

local forgotten, over = 0, {}
for at = 4, #ARGV do
  local number = ARGV[at]
  if at < 4 + workers then
    if is_over("worker " .. number) then
      redis.call("ZREM", gone, "worker " .. number)
      redis.call("HDEL", prefix .. ":workers", number)
      forgotten = forgotten + 1
    end
  else
    local name = redis.call("HGET", prefix .. ":subscriptions:names", number)
    if name and redis.call("HEXISTS", prefix .. ":subscriptions", name) == 1 then
      redis.call("ZREM", gone, "subscription " .. number)
    elseif name and is_over("subscription " .. number) then
      over[number] = name
    end
  end
end
local left = fold_counters(over, most_folded)
for number, name in pairs(over) do
  if not left[number] then
    forget_subscription(number, name)
    forgotten = forgotten + 1
  end
end
return forgotten
