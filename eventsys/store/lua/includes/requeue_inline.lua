--[[
requeue_inline: give a delivery that its publisher was to run itself to the workers of its subscription.

When the subscription has ended, its waiting room takes the delivery, and whoever settles what has ended cancels it.

Uses: prefix, next_entry
]]
local function requeue_inline(stream, id)
  local found = redis.call("XRANGE", stream, id, id)[1]
  if found then
    local fields, lane = found[2], string.match(stream, "(%d+)$")
    fields[2] = redis.call("HGET", prefix .. ":subscriptions:renamed", fields[2]) or fields[2]
    local row = redis.call("HGET", prefix .. ":subscriptions", fields[2])
    if row then
      redis.call("XADD", prefix .. ":queue:" .. cjson.decode(row).queue .. ":" .. lane, next_entry(), unpack(fields))
    else
      redis.call("XADD", prefix .. ":waiting:" .. fields[2] .. ":" .. lane, next_entry(), unpack(fields))
      redis.call("SADD", prefix .. ":waiting", fields[2])
      -- Where it is listed with a queue of its own, that is emptied too.
      redis.call("HSETNX", prefix .. ":subscriptions:ended", fields[2], "")
      redis.call("INCR", prefix .. ":news")
    end
  end
  redis.call("XACK", stream, "workers", id)
  redis.call("XDEL", stream, id)
end
