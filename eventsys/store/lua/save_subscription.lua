--[[
save_subscription: declare a subscription, and let it take over what it left under a former name.

Written only when the declaration changed: a deploy of the same code changes nothing, and an operator's state (paused)
is kept. A name keeps its number for ever, since records name deliveries by it.

What a process subscribes at run time never changes what code declares, nor what another living process subscribed:
whoever declares it otherwise is refused. Code may change everything: that is what a deploy does.

A renamed subscription keeps the number, the waiting room, the dead letters, the state and the counts of the former one,
all of it by renaming keys, however much there is. Its replays, of which some thousand are known at most, get the new
name one by one. What is on a queue or waits for its next attempt keeps the former name, which is noted as leading to
the new one: whoever comes to it goes by that. Where both names exist already nothing is taken over: the two have
numbers of their own.

Older code does not know of the renaming, and declares the former name when it starts during a deploy. As long as a
process lives that hosts what the name leads to, nothing is written: one more subscription would double every event.

KEYS
  1  prefix of the bus
     Reads and writes below it: queues, queue:<queue>:<lane>, subscriptions, subscriptions:names, subscriptions:numbers, subscriptions:newest,
     subscriptions:rows, subscriptions:version, subscriptions:hosts:<name>, subscriptions:renamed, subscriptions:states, subscriptions:open,
     subscriptions:ended, subscriptions:unhosted, waiting, waiting:<subscription>:<lane>, gate:<name>, slots:<name>, releases,
     letters:subscription:<name>, processes, process:<name>, replays, replays:numbers, replay:<id>
ARGV
  1    name
  2    declaration hash
  3    row: JSON without its closing brace, and without number and revision, which are added here, and state, which
       is kept beside it
  4    host: the process the subscription lives as long as, one of perhaps several; empty when it outlives them all
  5    now_ms  real time, which leases are measured in
  6    taken_over  the queue of one of this name that has ended, where what living processes hold of it, if nothing else
       is left, goes on as this one's; empty: it is to be settled first
  7    how a name that leads to another is declared: empty for the first time, unless a process lives that hosts that
       one; "again" where that was so before, and only once it was noted too, over a minute ago, that nobody does;
       "apart" in any case, since this process declares both. "absent": only where nothing has this name, since it
       had given way to another declaration; what is there stays, as if it were this one
  8..  was: names it had before
RETURNS
  {number, version of the set, those of the former names that lead to it, the row that gave way to this one or "", the
  subscription that the name, if code declares it, led to until now or ""}; {"unsettled", queue} when one of this name has
  ended, had that queue, and may have open deliveries; {"conflict", row} when this one, made at run time, is refused, and
  {"renamed", name, number} when its name leads to that one, which is hosted: nothing is written
]]
local prefix, name = KEYS[1], ARGV[1]
local rows, renamed = prefix .. ":subscriptions", prefix .. ":subscriptions:renamed"
local numbers, names = rows .. ":numbers", rows .. ":names"

-- include: note_row

local function move_field(key, former)
  local value = redis.call("HGET", key, former)
  if not value then return end
  redis.call("HSET", key, name, value)
  redis.call("HDEL", key, former)
end

local function move_key(stem, former, rest)
  if redis.call("EXISTS", stem .. former .. rest) == 0 then return end
  if redis.call("EXISTS", stem .. name .. rest) == 0 then
    redis.call("RENAME", stem .. former .. rest, stem .. name .. rest)
  else
    -- Dead letters of an earlier subscription of this name.
    redis.call("ZUNIONSTORE", stem .. name .. rest, 2, stem .. name .. rest, stem .. former .. rest)
    redis.call("DEL", stem .. former .. rest)
  end
end

-- The hosts of the former name count until they end: whoever declares the new one may not be up for good yet.
local function move_hosts(former)
  local stem = prefix .. ":subscriptions:hosts:"
  for _, host in ipairs(redis.call("SMEMBERS", stem .. former)) do redis.call("SADD", stem .. name, host) end
  redis.call("DEL", stem .. former)
end

local function note_former(former)
  local all = redis.call("HGETALL", renamed)
  for at = 1, #all, 2 do
    if all[at + 1] == former then redis.call("HSET", renamed, all[at], name) end
  end
  redis.call("HSET", renamed, former, name)
  redis.call("HDEL", renamed, name)
end

-- The number of a replay is part of what records call its deliveries, so none is given twice.
local function take_over_replays(former)
  local newest = prefix .. ":replays:numbers"
  local of_former, own = unpack(redis.call("HMGET", newest, former, name))
  if (tonumber(of_former or "0") or 0) > (tonumber(own or "0") or 0) then
    redis.call("HSET", newest, name, of_former)
  end
  -- The former name keeps its number: should it be declared anew, its replays are not those of before.
  for _, id in ipairs(redis.call("ZRANGE", prefix .. ":replays", 0, -1)) do
    local replay = prefix .. ":replay:" .. id
    if redis.call("HGET", replay, "subscription") == former then redis.call("HSET", replay, "subscription", name) end
  end
end

local function take_over(former)
  local number = redis.call("HGET", numbers, former)
  redis.call("HSET", names, number, name)
  redis.call("HSET", numbers, name, number)
  redis.call("HDEL", rows, former)
  note_row(former, "")
  note_former(former)
  for _, kept in ipairs({ ":states", ":open", ":unhosted" }) do move_field(rows .. kept, former) end
  for _, lane in ipairs({ 10, 8, 5, 1 }) do move_key(prefix .. ":waiting:", former, ":" .. lane) end
  if redis.call("SREM", prefix .. ":waiting", former) == 1 then redis.call("SADD", prefix .. ":waiting", name) end
  for _, stem in ipairs({ ":gate:", ":slots:", ":letters:subscription:" }) do move_key(prefix .. stem, former, "") end
  move_hosts(former)
  local look_ms = redis.call("ZSCORE", prefix .. ":releases", former)
  if look_ms then
    redis.call("ZREM", prefix .. ":releases", former)
    redis.call("ZADD", prefix .. ":releases", look_ms, name)
  end
  take_over_replays(former)
end

local function former_names()
  local found = {}
  for at = 8, #ARGV do
    if redis.call("HGET", renamed, ARGV[at]) == name then found[#found + 1] = ARGV[at] end
  end
  return found
end

local function new_number()
  local number
  -- None is given twice, though its owner is forgotten: what it ended, and measured, would be told of another.
  repeat
    number = redis.call("INCR", rows .. ":newest")
  until redis.call("HSETNX", names, number, name) == 1
  redis.call("HSET", numbers, name, number)
  return number
end

-- Whether a process lives that hosts a subscription and is not the one of this name: it made it at run time, has noted
-- itself as one of its hosts, or says so where processes tell what they host.
local function is_hosted_by_another(before, own)
  local processes = prefix .. ":processes"
  local noted = redis.call("SMEMBERS", prefix .. ":subscriptions:hosts:" .. before.name)
  if (before.owner or cjson.null) ~= cjson.null then noted[#noted + 1] = before.owner end
  for _, process in ipairs(noted) do
    local lease_end = process ~= own and redis.call("ZSCORE", processes, process)
    if lease_end and tonumber(lease_end) > tonumber(ARGV[5]) then return true end
  end
  local number = string.format(",%d,", before.number)
  for _, process in ipairs(redis.call("ZRANGEBYSCORE", processes, "(" .. ARGV[5], "+inf")) do
    local hosted = process ~= own and redis.call("HGET", prefix .. ":process:" .. process, "subscriptions")
    if hosted and string.find("," .. hosted .. ",", number, 1, true) then return true end
  end
  return false
end

local function is_taken(before, own)
  return not before.owner or before.owner == cjson.null or is_hosted_by_another(before, own)
end

-- The subscription that this name leads to, if it is hosted, and nothing is to be taken over, as in renaming it back.
local function living_successor()
  local led_to = ARGV[7] ~= "apart" and redis.call("HGET", renamed, name)
  local row = led_to and redis.call("HGET", rows, led_to)
  if not row then return end
  for at = 8, #ARGV do
    if redis.call("HEXISTS", rows, ARGV[at]) == 1 then return end
  end
  row = cjson.decode(row)
  -- A process that is replaced is back sooner. A note is looked at each minute: an older one was still true then.
  local since_ms = ARGV[7] == "again" and tonumber(redis.call("HGET", rows .. ":unhosted", led_to) or ARGV[5])
  local may_be_back = since_ms and tonumber(ARGV[5]) - since_ms <= 60000
  return (may_be_back or is_hosted_by_another(row)) and row
end

-- A process that was taken over from never comes back under its name: it is a host no more.
local function add_host(process)
  local hosts = prefix .. ":subscriptions:hosts:" .. name
  for _, host in ipairs(redis.call("SMEMBERS", hosts)) do
    if not redis.call("ZSCORE", prefix .. ":processes", host) then redis.call("SREM", hosts, host) end
  end
  redis.call("SADD", hosts, process)
end

-- include: held_by_living

-- Whether there is something of one that has ended which nobody holds.
local function is_anything_left(queue)
  for _, lane in ipairs({ 10, 8, 5, 1 }) do
    local stream = prefix .. ":queue:" .. queue .. ":" .. lane
    local _, held = held_by_living(stream, tonumber(ARGV[5]), "-", "+")
    if redis.call("XLEN", stream) > held then return true end
    if redis.call("XLEN", prefix .. ":waiting:" .. name .. ":" .. lane) > 0 then return true end
  end
  return false
end

local stored = redis.call("HGET", rows, name)
local before = stored and cjson.decode(stored)
local is_known = before and (before.declaration_hash == ARGV[2] or ARGV[7] == "absent")
local declared = not is_known and cjson.decode(ARGV[3] .. "}")
-- What is subscribed at run time ends with its process; older code would be there for good.
local is_code = declared and (declared.owner or cjson.null) == cjson.null
local successor = is_code and not stored and living_successor()
if successor then return { "renamed", successor.name, successor.number } end

local ended = not stored and redis.call("HGET", rows .. ":ended", name)
if ended then
  if ARGV[6] == "" or ARGV[6] ~= ended or is_anything_left(ended) then return { "unsettled", ended } end
  redis.call("HDEL", rows .. ":ended", name)
end

local owner = declared and before and declared.owner
if owner and owner ~= cjson.null and is_taken(before, owner) then return { "conflict", stored } end

if ARGV[4] ~= "" then add_host(ARGV[4]) end

if is_known then
  return { before.number, redis.call("GET", rows .. ":version") or "0", former_names(), "", "" }
end

local is_new = not before
for at = 8, #ARGV do
  if is_new and redis.call("HEXISTS", rows, ARGV[at]) == 1 then
    take_over(ARGV[at])
    is_new = false
  end
end
-- Declared again under a name that led elsewhere, it is another one; what is made at run time did not ask who hosts that.
local led_to = redis.call("HGET", renamed, name)
led_to = is_code and led_to and redis.call("HEXISTS", rows, led_to) == 1 and led_to or ""
local number = redis.call("HDEL", renamed, name) == 0 and redis.call("HGET", numbers, name)
number = tonumber(number or new_number())
local revision = (before and before.revision or 0) + 1
local row = ARGV[3] .. string.format(',"number":%d,"revision":%d}', number, revision)
redis.call("HSET", rows, name, row)
note_row(name, row)
-- Before anything is there: what nobody reads is to be seen, and what a dead process held is looked for in these.
redis.call("SADD", prefix .. ":queues", declared.queue)
if (declared.rate or cjson.null) == cjson.null and (declared.concurrency or cjson.null) == cjson.null then
  -- Nobody gives a slot up where there are no limits; they would stand in the way of the next ones.
  redis.call("DEL", prefix .. ":slots:" .. name)
end
local version = string.format("%.0f", redis.call("INCR", rows .. ":version"))
return { number, version, former_names(), stored or "", led_to }
