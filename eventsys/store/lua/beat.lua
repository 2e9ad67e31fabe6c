--[[
beat: renew the leases of living processes.

A lease that nobody has ended yet is renewed even when it is overdue. One that was ended stays so: what the process
held is others' now, and it has to go on under another name. The first to beat after Redis was away spares the others.

KEYS
  1  prefix of the bus
     Reads and writes below it: processes
ARGV
  1    now_ms     real time
  2    lease_ms   how long a process counts as alive from now on
  3..  processes  their names
RETURNS
  for each process 1 when its lease was renewed, 0 when it had been ended
]]
local prefix, processes = KEYS[1], KEYS[1] .. ":processes"
local now_ms, lease_ms = tonumber(ARGV[1]), tonumber(ARGV[2])

redis.call("DEL", prefix .. ":scratch")

-- include: spare_living

spare_living(now_ms, lease_ms)
local held = {}
for at = 3, #ARGV do
  local lease_end = redis.call("ZSCORE", processes, ARGV[at])
  local is_held = lease_end and tonumber(lease_end) > 0
  held[#held + 1] = is_held and 1 or 0
  if is_held then redis.call("ZADD", processes, now_ms + lease_ms, ARGV[at]) end
end
return held
