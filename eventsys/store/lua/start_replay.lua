--[[
start_replay: begin to give history to a subscription again. Sent twice it begins once.

From here on any process may carry it on; that it began, and who asked for it, is published in the same step.

KEYS
  1  prefix of the bus
     Reads and writes below it: what add.lua does, subscriptions, replays, replays:running, replays:numbers, replay:<id>
ARGV
  1  now_ms         the caller's clock
  2  id             of the replay
  3  subscription   its name
  4  kept           replays that are remembered; the oldest of those that ended go
  5  step           msgpack: the event that tells of it
  6  facts          msgpack: a flat list of fields and values to keep
RETURNS
  "started"; "unknown" when there is no such subscription
]]
local prefix, id, name = KEYS[1], ARGV[2], ARGV[3]
local now_ms = tonumber(ARGV[1])

-- include: carry_out

local replay = prefix .. ":replay:" .. id
if redis.call("EXISTS", replay) == 1 then return "started" end
if redis.call("HEXISTS", prefix .. ":subscriptions", name) == 0 then return "unknown" end

local number = redis.call("HINCRBY", prefix .. ":replays:numbers", name, 1)
redis.call("HSET", replay, "state", "running", "subscription", name, "number", number,
  "created_ms", string.format("%.0f", now_ms), "updated_ms", string.format("%.0f", now_ms),
  "until", redis.call("GET", prefix .. ":clock") or "0-0", unpack(cmsgpack.unpack(ARGV[6])))
redis.call("ZADD", prefix .. ":replays", now_ms, id)
redis.call("SADD", prefix .. ":replays:running", id)
redis.call("INCR", prefix .. ":news")
local surplus = redis.call("ZCARD", prefix .. ":replays") - tonumber(ARGV[4])
for _, old in ipairs(surplus > 0 and redis.call("ZRANGE", prefix .. ":replays", 0, math.min(surplus, 10) - 1) or {}) do
  if redis.call("SISMEMBER", prefix .. ":replays:running", old) == 0 then
    redis.call("ZREM", prefix .. ":replays", old)
    redis.call("DEL", prefix .. ":replay:" .. old)
  end
end
carry_out(cmsgpack.unpack(ARGV[5]))
keep_counts()
keep_entry_clock()
return "started"
