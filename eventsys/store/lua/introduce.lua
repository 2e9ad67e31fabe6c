--[[
introduce: say that a process is alive, and which queues it reads.

A script, because Redis refuses the bare commands at its memory limit, and a worker must be able to start then. Sent
twice it does the same. A lease that was ended stays so, as for beat: what the process held is others' now.

KEYS
  1  prefix of the bus
     Reads and writes below it: workers, processes, process:<name>, queues
ARGV
  1    name         of the process's lease
  2    host
  3    pid
  4    number       the one it has already, 0 for a new one: records name workers by it
  5    started_ms   the caller's clock
  6    lease_end    real time, ms
  7    lease_ms     how long a beat lasts; so long before lease_end it is now
  8    is_known     1 when it was introduced under this name before
  9    queues       all that it reads, as text
  10.. queues       the same, one by one
RETURNS
  its number; 0 when its lease had been ended, and it has to go on under another name
]]
local prefix, name, number = KEYS[1], ARGV[1], tonumber(ARGV[4])
local process = prefix .. ":process:" .. name

redis.call("DEL", prefix .. ":scratch")

-- include: spare_living

-- A process that was started while Redis was away may be the first to come.
spare_living(tonumber(ARGV[6]) - tonumber(ARGV[7]), tonumber(ARGV[7]))

if ARGV[8] == "1" and tonumber(redis.call("ZSCORE", prefix .. ":processes", name) or "0") == 0 then return 0 end

-- Where Redis has lost data the last number lies behind those of the living, and others may have been given theirs.
local workers, own = prefix .. ":workers", ARGV[2] .. ":" .. ARGV[3]
local function new_number()
  local given
  repeat given = redis.call("HINCRBY", workers, "next", 1) until redis.call("HEXISTS", workers, given) == 0
  return given
end

if number == 0 then number = tonumber(redis.call("HGET", process, "number") or new_number()) end
if (redis.call("HGET", workers, number) or own) ~= own then number = new_number() end
redis.call("HSET", workers, number, own)
redis.call("HSET", process, "host", ARGV[2], "pid", ARGV[3], "number", number, "lease_ms", ARGV[7], "queues", ARGV[9])
redis.call("HSETNX", process, "started_ms", ARGV[5])
redis.call("ZADD", prefix .. ":processes", ARGV[6], name)
for at = 10, #ARGV do redis.call("SADD", prefix .. ":queues", ARGV[at]) end
return number
