--[[
forget_own_queue: forget the queue of one subscription alone, once that has ended and nobody reads it.

Not before everything of it is settled, for that is looked for there, nor while it is declared. A process that lives may
read it still, and would make the lanes anew. Who declares the subscription again says that there is such a queue.
Those of subscriptions made at run time begin with `run.`, unless they name another one: that stays, as it is others' too.

Uses: prefix
]]
local names_read  -- of each process that lives, all in one text
local function is_read(queue)
  if not names_read then
    names_read = {}
    for _, process in ipairs(redis.call("ZRANGEBYSCORE", prefix .. ":processes", "(0", "+inf")) do
      local read = redis.call("HGET", prefix .. ":process:" .. process, "queues")
      names_read[#names_read + 1] = "," .. (read or "") .. ","
    end
  end
  for _, names in ipairs(names_read) do
    if string.find(names, "," .. queue .. ",", 1, true) then return true end
  end
  return false
end

local function forget_own_queue(queue, name)
  if string.sub(queue, 1, 4) ~= "run." then return end
  local rows, lanes = prefix .. ":subscriptions", {}
  if redis.call("HEXISTS", rows, name) == 1 or redis.call("HEXISTS", rows .. ":ended", name) == 1 then return end
  if redis.call("HEXISTS", prefix .. ":delayed:queues", queue) == 1 then return end
  for _, lane in ipairs({ 10, 8, 5, 1 }) do
    local stream = prefix .. ":queue:" .. queue .. ":" .. lane
    if redis.call("XLEN", stream) > 0 then return end
    local pending = redis.pcall("XPENDING", stream, "workers")
    if not pending.err and pending[1] > 0 then return end
    lanes[#lanes + 1] = stream
  end
  if is_read(queue) then return end
  redis.call("DEL", unpack(lanes))
  for _, all in ipairs({ ":queues", ":queues:paused" }) do redis.call("SREM", prefix .. all, queue) end
end
