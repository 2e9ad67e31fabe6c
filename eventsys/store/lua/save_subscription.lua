--[[
save_subscription: declare a subscription.

Written only when the declaration changed: a deploy of the same code changes nothing, and an operator's state (paused)
is kept. A name keeps its number for ever, since records name deliveries by it.

KEYS
  1  prefix of the bus
     Reads and writes below it: subscriptions, subscriptions:names, subscriptions:numbers, subscriptions:version,
     subscriptions:hosts:<name>
ARGV
  1  name
  2  declaration hash
  3  row: JSON without its closing brace, and without number and revision, which are added here, and state, which
     is kept beside it
  4  host: the process the subscription lives as long as, one of perhaps several; empty when it outlives them all
RETURNS
  {number, version of the set, 1 when it changed}
]]
local rows, name = KEYS[1] .. ":subscriptions", ARGV[1]
local version_key = KEYS[1] .. ":subscriptions:version"

if ARGV[4] ~= "" then redis.call("SADD", KEYS[1] .. ":subscriptions:hosts:" .. name, ARGV[4]) end

local stored = redis.call("HGET", rows, name)
local before = stored and cjson.decode(stored)
if before and before.declaration_hash == ARGV[2] then
  return { before.number, redis.call("GET", version_key) or "0", 0 }
end

local number = redis.call("HGET", KEYS[1] .. ":subscriptions:numbers", name)
if not number then
  number = redis.call("HLEN", KEYS[1] .. ":subscriptions:names") + 1
  redis.call("HSET", KEYS[1] .. ":subscriptions:names", number, name)
  redis.call("HSET", KEYS[1] .. ":subscriptions:numbers", name, number)
end
number = tonumber(number)
local revision = (before and before.revision or 0) + 1
local row = ARGV[3] .. string.format(',"number":%d,"revision":%d}', number, revision)
redis.call("HSET", rows, name, row)
return { number, tostring(redis.call("INCR", version_key)), 1 }
