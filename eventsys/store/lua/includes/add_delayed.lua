--[[
add_delayed: keep a step until its time has come.

What is due within the hour is kept in the near tier, the rest in the far one: the same two keys, so that the tier the
poller works on stays small. Entries due at the same millisecond leave by priority, then in the order they came: that is
what the nine bytes of a member are, ten minus the priority, and a sequence number. The poller is woken when its next due
time moved.

`step` is {"delayed", id, due ms, priority, queue or "", body, key or false, "replace" or "refuse", retention ms}; the
last three are absent where there is no key. The body is {id, queue, step to carry out, facts to show}; see delayed_body.
Returns {"delayed", id}, {"exists", id} when an entry of that id waits already, or {"taken", id} when one of that key does.
Copies of a message, as Dramatiq makes them, have its id and each wait by themselves: the next goes by `<id>#<sequence>`.

Uses: prefix, now_ms, count, forget_cancelled
]]
-- include: delayed_at_once
-- include: delayed_chain
-- include: delayed_body
-- include: record_cancelled

local FAR_MS = 3600000
local near_due, near_bodies = prefix .. ":delayed:due", prefix .. ":delayed:bodies"
local far_due, far_bodies = prefix .. ":delayed:far:due", prefix .. ":delayed:far:bodies"

local function delayed_bucket(kind, name)
  return prefix .. ":delayed:" .. kind .. ":" .. string.sub(redis.sha1hex(name), 1, 4)
end

-- Returns the member of an entry, when it is due, its body unpacked, and the keys of its tier; nil when none waits.
local function find_delayed(id)
  local member = redis.call("HGET", delayed_bucket("ids", id), id)
  if not member then return nil end
  local due, bodies = near_due, near_bodies
  local due_ms = redis.call("ZSCORE", due, member)
  if not due_ms then
    due, bodies = far_due, far_bodies
    due_ms = redis.call("ZSCORE", due, member)
  end
  return member, tonumber(due_ms), unpack_entry(redis.call("HGET", bodies, member)), due, bodies
end

-- When the near tier's first entry was due as this script began, or the earliest that it put there since. What is due
-- later wakes nobody: the poller sleeps until that time at the latest, whatever was taken out meanwhile.
local wakes_before_ms

local function wake_for(due_ms)
  wakes_before_ms = wakes_before_ms or tonumber(redis.call("ZRANGE", near_due, 0, 0, "WITHSCORES")[2] or math.huge)
  if due_ms >= wakes_before_ms then return end
  wakes_before_ms = due_ms
  redis.call("PUBLISH", prefix .. ":wake", string.format("%.0f", due_ms))
end

local function put_delayed(member, due_ms, body)
  if due_ms - now_ms > FAR_MS then
    redis.call("ZADD", far_due, due_ms, member)
    redis.call("HSET", far_bodies, member, body)
    return
  end
  wake_for(due_ms)
  redis.call("ZADD", near_due, due_ms, member)
  redis.call("HSET", near_bodies, member, body)
end

-- Numbers are taken for all steps of a call at once, before any is used: an error later leaves a gap, and none twice.
local last_sequence, sequences_left = 0, 0

local function next_sequence()
  if sequences_left == 0 then
    sequences_left = delayed_at_once
    last_sequence = redis.call("INCRBY", prefix .. ":delayed:sequence", sequences_left) - sequences_left
  end
  sequences_left = sequences_left - 1
  last_sequence = last_sequence + 1
  return last_sequence
end

-- Messages are counted by their queue, events, which have none, by their priority.
local function count_waiting(queue, priority, by)
  local counts, name = prefix .. ":delayed:queues", queue
  if queue == "" then counts, name = prefix .. ":delayed:priorities", priority end
  if redis.call("HINCRBY", counts, name, by) == 0 then redis.call("HDEL", counts, name) end
end

local failed_key = prefix .. ":delayed:failed"

-- Whether Redis ever refused to move what waits now, asked once a script: hardly ever is there anything to forget.
local has_failed

local function may_have_failed()
  if has_failed == nil then has_failed = redis.call("EXISTS", failed_key) == 1 end
  return has_failed
end

local function remove_delayed(entry, member, due, bodies)
  local id, queue, key = entry[1], entry[2], entry[4].key
  leave_chain(entry[3])
  if may_have_failed() then redis.call("HDEL", failed_key, member) end
  redis.call("ZREM", due, member)
  redis.call("HDEL", bodies, member)
  redis.call("HDEL", delayed_bucket("ids", id), id)
  if key and redis.call("HGET", delayed_bucket("keys", key), key) == id then
    redis.call("HDEL", delayed_bucket("keys", key), key)
  end
  count_waiting(queue, 10 - string.byte(member), -1)
  if queue ~= "" then redis.call("SREM", prefix .. ":delayed:messages", member) end
end

-- Makes room for an entry with a key; returns why that may not be, or nil.
local function take_key(id, key, conduct, retention_ms)
  local earlier = redis.call("HGET", delayed_bucket("keys", key), key)
  local member, due_ms, entry, due, bodies
  if earlier then member, due_ms, entry, due, bodies = find_delayed(earlier) end
  if member and conduct == "refuse" then return { earlier == id and "exists" or "taken", earlier } end
  if member then
    remove_delayed(entry, member, due, bodies)
    if earlier ~= id then record_cancelled(entry, due_ms, retention_ms) end
  end
  redis.call("HSET", delayed_bucket("keys", key), key, id)
end

-- What has cron tasks looked at goes by names that the scripts know, of which one at most waits.
local function may_be_copy(queue, step)
  return step[1] == "message" and step[4][1] == "m" and queue ~= "eventsys.cron"
end

local function add_delayed(step)
  local id, due_ms, priority, queue, body, key = step[2], step[3], step[4], step[5], step[6], step[7]
  local ids = delayed_bucket("ids", id)
  local is_own = key and redis.call("HGET", delayed_bucket("keys", key), key) == id
  if key and not is_own and redis.call("HEXISTS", ids, id) == 1 then return { "exists", id } end
  if body[3][1] == "event" then
    local status, place = unpack(redis.call("HMGET", prefix .. ":event:" .. id, "status", "log"))
    if place then return { "exists", id } end
    if status then forget_cancelled(id) end
  end
  local refusal = key and take_key(id, key, step[8], step[9])
  if refusal then return refusal end

  local sequence = next_sequence()
  local member = string.char(10 - priority) .. struct.pack(">I8", sequence)
  if redis.call("HSETNX", ids, id, member) == 0 then
    if not may_be_copy(queue, body[3]) then return { "exists", id } end
    id = id .. "#" .. string.format("%.0f", sequence)
    body[1] = id
    redis.call("HSET", delayed_bucket("ids", id), id, member)
  end
  join_chain(body[3])
  count_waiting(queue, priority, 1)
  if queue ~= "" then redis.call("SADD", prefix .. ":delayed:messages", member) end
  put_delayed(member, due_ms, pack_entry(body))
  return { "delayed", id }
end
