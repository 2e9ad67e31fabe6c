--[[
add_delayed: keep a step until its time has come.

Entries due at the same millisecond leave by priority, then in the order they came: that is what the nine bytes of a
member are, ten minus the priority, and a sequence number. The poller is woken when its next due time moved.

`step` is {"delayed", id, due ms, priority, queue or "", body}; the body is {id, queue, step to carry out, facts to
show}, kept as msgpack.
Returns {"delayed", id}, or {"exists", id} when an entry of that id waits already.

Uses: prefix, forget_cancelled
]]
-- include: delayed_chain

local function delayed_ids(id)
  return prefix .. ":delayed:ids:" .. string.sub(redis.sha1hex(id), 1, 4)
end

local function add_delayed(step)
  local id, due_ms, priority, queue, body = step[2], step[3], step[4], step[5], step[6]
  local ids = delayed_ids(id)
  if redis.call("HEXISTS", ids, id) == 1 then return { "exists", id } end
  if body[3][1] == "event" then
    local status, place = unpack(redis.call("HMGET", prefix .. ":event:" .. id, "status", "log"))
    if place then return { "exists", id } end
    if status then forget_cancelled(id) end
  end

  local sequence = redis.call("INCR", prefix .. ":delayed:sequence")
  local member = string.char(10 - priority) .. struct.pack(">I8", sequence)
  redis.call("ZADD", prefix .. ":delayed:due", due_ms, member)
  redis.call("HSET", prefix .. ":delayed:bodies", member, cmsgpack.pack(body))
  redis.call("HSET", ids, id, member)
  join_chain(body[3])
  if queue ~= "" then
    redis.call("HINCRBY", prefix .. ":delayed:queues", queue, 1)
  end
  if redis.call("ZRANGE", prefix .. ":delayed:due", 0, 0)[1] == member then
    redis.call("PUBLISH", prefix .. ":wake", due_ms)
  end
  return { "delayed", id }
end

local function remove_delayed(id, queue, member, step)
  leave_chain(step)
  redis.call("ZREM", prefix .. ":delayed:due", member)
  redis.call("HDEL", prefix .. ":delayed:bodies", member)
  redis.call("HDEL", delayed_ids(id), id)
  if queue ~= "" and redis.call("HINCRBY", prefix .. ":delayed:queues", queue, -1) == 0 then
    redis.call("HDEL", prefix .. ":delayed:queues", queue)
  end
end
