--[[
add_tick: send a periodic actor its message for one tick, unless that tick was claimed before.

The claim, the message and the events that tell of it are one step, so however many schedulers there are, a tick gives
one message, and no claim outlives a message that was never sent. Claims are kept longer than a scheduler's clock may be
wrong; beyond that the sender names the tick by the bus's own clock. That a tick came twice is noted for the doctor.

`step` is {"tick", actor, tick ms, its cron fields, message or delayed step, {event step, ...},
event step if the actor is new or false, event step if its fields changed or false}
Returns what came of the message, or {"taken", actor}.

Uses: prefix, now_ms, carry_out
]]
local claims_kept_ms = 24 * 3600 * 1000

local function add_tick(step)
  local actor, tick_ms, fields = step[2], step[3], step[4]
  local ticks, specs = prefix .. ":periodic:ticks", prefix .. ":periodic:specs"
  redis.call("ZREMRANGEBYSCORE", ticks, "-inf", now_ms - claims_kept_ms)
  if redis.call("ZADD", ticks, "NX", tick_ms, actor .. "|" .. string.format("%.0f", tick_ms)) == 0 then
    redis.call("HSET", prefix .. ":periodic:doubled", actor, string.format("%.0f", tick_ms))
    return { "taken", actor }
  end
  local last = prefix .. ":periodic:last"
  if tick_ms > tonumber(redis.call("HGET", last, actor) or "0") then
    redis.call("HSET", last, actor, string.format("%.0f", tick_ms))
  end
  local known = redis.call("HGET", specs, actor)
  if known ~= fields then
    redis.call("HSET", specs, actor, fields)
    local told = step[known and 8 or 7]
    if told then carry_out(told) end
  end
  for _, told in ipairs(step[6]) do carry_out(told) end
  return carry_out(step[5])
end
