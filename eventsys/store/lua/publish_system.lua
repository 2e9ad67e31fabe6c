--[[
publish_system: publish what the system says of itself; of a trouble only its beginning and its end, each once.

Any process may report a trouble, as often as it sees it: the key decides whether it is known. Its events and its entry
in `troubles` are one step. Redis admits this at its memory limit, when a warning is wanted most.

KEYS
  1  prefix of the bus
     Reads and writes below it: what add.lua does, troubles
ARGV
  1    now_ms     the caller's clock
  2    limit      most troubles at a time; what begins beyond is counted, not published
  3..  reports    msgpack:
                  {"say", step}                      publish
                  {"begins", key, step, facts, also} publish, unless a trouble of this key goes on; the facts, JSON, are
                                                     kept: at their `until_ms` it is over by itself, unless that is 0
                  {"ends", key, {type, step, ...}, also}   publish the step of the type that it began with, if it did;
                                                     `also` is a step for when something is published, or false
                  {"count"}                          trouble about a system event: count it, publish nothing
RETURNS
  for each report 1 when something was published, else 0
]]
local prefix = KEYS[1]
local now_ms, limit = tonumber(ARGV[1]), tonumber(ARGV[2])

redis.call("DEL", prefix .. ":scratch")

-- include: carry_out

local troubles = prefix .. ":troubles"

local function is_over(trouble) return trouble.until_ms > 0 and trouble.until_ms <= now_ms end

local function going_on(key)
  local known = redis.call("HGET", troubles, key)
  if not known then return nil end
  local trouble = cjson.decode(known)
  return not is_over(trouble) and trouble or nil
end

-- What is over by itself stays until room is wanted: a dead process, say, has a key of its own that never comes again.
local function is_full()
  if redis.call("HLEN", troubles) < limit then return false end
  local all = redis.call("HGETALL", troubles)
  for at = 1, #all, 2 do
    local is_read, trouble = pcall(cjson.decode, all[at + 1])
    if is_read and is_over(trouble) then redis.call("HDEL", troubles, all[at]) end
  end
  return redis.call("HLEN", troubles) >= limit
end

local reports = {
  say = function(report)
    carry_out(report[2])
    return 1
  end,
  begins = function(report)
    if going_on(report[2]) then return 0 end
    if redis.call("HEXISTS", troubles, report[2]) == 0 and is_full() then
      count("system_troubles", 1)
      return 0
    end
    redis.call("HSET", troubles, report[2], report[4])
    carry_out(report[3])
    if report[5] then carry_out(report[5]) end
    return 1
  end,
  ends = function(report)
    local trouble = going_on(report[2])
    redis.call("HDEL", troubles, report[2])
    if not trouble then return 0 end
    for at = 1, #report[3], 2 do
      if report[3][at] == trouble.type then carry_out(report[3][at + 1]) end
    end
    if report[4] then carry_out(report[4]) end
    return 1
  end,
  count = function()
    count("system_troubles", 1)
    return 0
  end,
}

local published = {}
for at = 3, #ARGV do
  local report = cmsgpack.unpack(ARGV[at])
  published[#published + 1] = reports[report[1]](report)
end
keep_counts()
keep_entry_clock()
return published
