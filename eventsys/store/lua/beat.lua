--[[
beat: renew the leases of living processes.

KEYS
  1  prefix of the bus
     Reads and writes below it: processes
ARGV
  1    now_ms     real time
  2    lease_ms   how long a process counts as alive from now on
  ...  processes  their names
RETURNS
  for each process 1 when its lease still held, 0 when it had ended or was never there: its messages may be others' now
]]
local prefix = KEYS[1]
local now_ms, lease_ms = tonumber(ARGV[1]), tonumber(ARGV[2])

redis.call("DEL", prefix .. ":scratch")

local held = {}
for at = 3, #ARGV do
  local lease_end = redis.call("ZSCORE", prefix .. ":processes", ARGV[at])
  held[#held + 1] = (lease_end and tonumber(lease_end) > now_ms) and 1 or 0
  redis.call("ZADD", prefix .. ":processes", now_ms + lease_ms, ARGV[at])
end
return held
