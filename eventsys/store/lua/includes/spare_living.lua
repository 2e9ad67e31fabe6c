--[[
spare_living: give the living time to say so after Redis was away.

While Redis is away nobody can beat, and all leases end. Whoever comes first when it is back would take over what
everybody else is at work on. So where nobody has beaten for half a lease, leases that ended meanwhile, or are about to,
last a little longer. One that somebody has ended, with the score 0, stays ended.

Uses: prefix
]]
local most_spared = 1000

local function spare_living(now_ms, lease_ms)
  local processes = prefix .. ":processes"
  local newest = tonumber(redis.call("ZRANGE", processes, -1, -1, "WITHSCORES")[2] or "0")
  if newest <= 1 or now_ms - (newest - lease_ms) <= lease_ms / 2 then return end
  local spared_ms = now_ms + math.floor(lease_ms * 5 / 12)
  for _, process in ipairs(redis.call("ZRANGEBYSCORE", processes, "(1", spared_ms, "LIMIT", 0, most_spared)) do
    redis.call("ZADD", processes, spared_ms, process)
  end
end
