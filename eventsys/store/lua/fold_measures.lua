--[[
fold_measures: add a part of what was set aside of the journal to the counters of types, and of pairs of a type and a
subscription. The parts are folded in turn, and each once; with the last one what was set aside goes.

There are at most `most_measured` types and as many pairs; what comes later is added to `*`: as a type, and then as
subscription 0 too.

KEYS
  1  prefix of the bus
     Reads and writes below it: metrics:aside, metrics:folding, metrics:types, metrics:type:<type>, metrics:deliveries,
     metrics:delivery:<pair>, metrics:times:<pair>, metrics:minute:<minute>, metrics:lateness
ARGV
  1  number   of the setting aside, as set_measures_aside told it
  2  part     the number of this part, from 0
  3  parts    how many there are
  4  records  msgpack: {type, number of the subscription or "", counts, times, counts of each minute} for each counter; of how
              late the poller was both names are ""
  5  mark     what is written into each minute that something is added to, and never was before: whoever has read the
              minute learns by it that it has changed
RETURNS
  the number of the next part, whoever folded this one; -1 when all are folded
]]
local prefix = KEYS[1]
local metrics = prefix .. ":metrics:"
local part, parts = tonumber(ARGV[2]), tonumber(ARGV[3])

local number, done = unpack(redis.call("HMGET", metrics .. "folding", "number", "part"))
if number ~= ARGV[1] or redis.call("EXISTS", metrics .. "aside") == 0 then return -1 end
if tonumber(done) ~= part then return tonumber(done) end

redis.call("DEL", prefix .. ":scratch")

-- First, since Redis takes back nothing that was written before an error: what is counted twice is never found out.
redis.call("HSET", metrics .. "folding", "part", part + 1)
if part + 1 == parts then redis.call("DEL", metrics .. "aside") end

local most_measured = 1000
local minutes_kept_ms = 2 * 3600 * 1000

-- As the letters of counts are called in a hash; those of types are whole words.
local fields = { o = "opened", s = "succeeded", f = "failed", d = "dead", x = "expired", c = "cancelled", r = "redriven" }
local rated = { published = "", unrouted = ":unrouted", s = ":succeeded", f = ":failed", d = ":dead" }

-- A registry names what is measured. Returns what finds the first of some names that there is room for.
local function registry_of(key, asked)
  local has, size = {}, redis.call("SCARD", key)
  if #asked > 0 then
    for at, is_there in ipairs(redis.call("SMISMEMBER", key, unpack(asked))) do has[asked[at]] = is_there == 1 end
  end
  return function(names)
    for at, name in ipairs(names) do
      if has[name] then return name end
      if at == #names or size < at * most_measured then
        redis.call("SADD", key, name)
        has[name], size = true, size + 1
        return name
      end
    end
  end
end

local function add_times(key, times)
  local arguments = {}
  for place, by in pairs(times) do
    if by > 0 then
      for _, argument in ipairs({ "INCRBY", "i64", "#" .. place, by }) do arguments[#arguments + 1] = argument end
    end
  end
  if #arguments > 0 then redis.call("BITFIELD", key, unpack(arguments)) end
end

local minutes = {}

local function keep(key, name, counts, by_minute)
  for what, by in pairs(counts) do redis.call("HINCRBY", key .. name, fields[what] or what, by) end
  for minute, counted in pairs(by_minute) do
    minutes[minute] = minutes[minute] or {}
    for what, by in pairs(counted) do
      local field = rated[what] and name .. rated[what]
      if field then minutes[minute][field] = (minutes[minute][field] or 0) + by end
    end
  end
end

local records = cmsgpack.unpack(ARGV[4])
local types, deliveries = {}, {}
for _, record in ipairs(records) do
  local event_type, number = record[1], record[2]
  record.names = number == "" and { event_type, "*" } or { event_type .. ":" .. number, "*:" .. number, "*:0" }
  local asked = number == "" and types or deliveries
  for _, name in ipairs(record.names) do asked[#asked + 1] = name end
end
local type_for = registry_of(metrics .. "types", types)
local pair_for = registry_of(metrics .. "deliveries", deliveries)

for _, record in ipairs(records) do
  local event_type, number, counts, times, by_minute = unpack(record)
  if event_type == "" then
    add_times(metrics .. "lateness", times)
  elseif number == "" then
    keep(metrics .. "type:", type_for(record.names), counts, by_minute)
  else
    local pair = pair_for(record.names)
    keep(metrics .. "delivery:", pair, counts, by_minute)
    add_times(metrics .. "times:" .. pair, times)
  end
end

for minute, counted in pairs(minutes) do
  local key = metrics .. "minute:" .. string.format("%.0f", minute)
  redis.call("HSET", key, ":written", ARGV[5])  -- first: what is added may fail half way
  for field, by in pairs(counted) do redis.call("HINCRBY", key, field, by) end
  redis.call("PEXPIRE", key, minutes_kept_ms)
end
return part + 1 == parts and -1 or part + 1
