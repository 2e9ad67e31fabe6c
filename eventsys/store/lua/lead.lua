--[[
lead: become, or stay, the one poller that works.

KEYS
  1  prefix of the bus
     Reads and writes below it: poller, delayed:due, delayed:far:due, releases, metrics:journal
ARGV
  1  now_ms     real time
  2  lease_ms   how long the lead lasts from now on; 0 gives it up
  3  process
RETURNS
  {1 when the caller leads and 0 when not, end of the leader's lease in ms, or 0 when nobody leads, when the first
  thing that waits is due in ms, or -1 when nothing waits or the caller does not lead, pieces of the journal of measures}
]]
local key = KEYS[1] .. ":poller"
local now_ms, lease_ms = tonumber(ARGV[1]), tonumber(ARGV[2])

redis.call("DEL", KEYS[1] .. ":scratch")

local leader = redis.call("GET", key)
if leader then
  local lease_end, name = string.match(leader, "^(%d+) (.+)$")
  -- A lease that ends later than its key may live is none of a poller, and nobody would lead till then.
  local is_lease = name and (lease_ms == 0 or tonumber(lease_end) <= now_ms + 20 * lease_ms)
  if is_lease and name ~= ARGV[3] and tonumber(lease_end) > now_ms then return { 0, tonumber(lease_end), -1, 0 } end
end
if lease_ms == 0 then
  redis.call("DEL", key)
  return { 0, 0, -1, 0 }
end
redis.call("SET", key, string.format("%.0f %s", now_ms + lease_ms, ARGV[3]), "PX", 20 * lease_ms)

-- include: next_due
return { 1, now_ms + lease_ms, next_due(KEYS[1]), redis.call("LLEN", KEYS[1] .. ":metrics:journal") }
