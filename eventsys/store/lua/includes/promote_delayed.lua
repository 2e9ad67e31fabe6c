--[[
promote_delayed: move what is due before `until_ms`, and at most `limit` entries, from the far tier to the near one.

Uses: prefix, near_due, near_bodies, far_due, far_bodies
]]
local function promote_delayed(until_ms, limit)
  local found = redis.call("ZRANGE", far_due, "-inf", until_ms, "BYSCORE", "LIMIT", 0, limit, "WITHSCORES")
  for at = 1, #found, 2 do
    local member = found[at]
    redis.call("ZADD", near_due, found[at + 1], member)
    local body = redis.call("HGET", far_bodies, member)
    if body then redis.call("HSET", near_bodies, member, body) end
    redis.call("ZREM", far_due, member)
    redis.call("HDEL", far_bodies, member)
  end
  return #found / 2
end
