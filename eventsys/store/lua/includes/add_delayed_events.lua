--[[
add_delayed_events: keep many events for later, with one write for all of them where one will do.

`step` is {"delayed_events", ...}: behind its kind, of each event in turn its id, when it is due, its priority, its chain or
false where no other event shares it, and its entry as includes/delayed_body.lua has it. None of them has a key.
Returns for each in turn 1, or {"exists", id} when an entry or an event of that id exists already.

All is read before anything is written: Redis takes back nothing that was written before an error.

Uses: prefix, now_ms, forget_cancelled, and what add_delayed has
]]
local function new_event_ids(step)
  local is_new, cancelled = {}, {}
  for at = 2, #step, 5 do
    local id = step[at]
    local status, place = unpack(redis.call("HMGET", prefix .. ":event:" .. id, "status", "log"))
    is_new[at] = not place
    if status and not place then cancelled[#cancelled + 1] = id end
  end
  for _, id in ipairs(cancelled) do forget_cancelled(id) end
  return is_new
end

-- Keeps what a tier was given: due time and member of each, and member and body of each.
local function put_tier(due, bodies, times, contents)
  for first = 1, #times, 2000 do
    local last = math.min(first + 1999, #times)
    redis.call("ZADD", due, unpack(times, first, last))
    redis.call("HSET", bodies, unpack(contents, first, last))
  end
end

local function add_delayed_events(step)
  local is_new = new_event_ids(step)
  local near_times, near_contents, far_times, far_contents = {}, {}, {}, {}
  local counts, first_ms, results = {}, math.huge, {}
  for at = 2, #step, 5 do
    local id, due_ms, priority, chain = step[at], step[at + 1], step[at + 2], step[at + 3]
    local member = is_new[at] and string.char(10 - priority) .. struct.pack(">I8", next_sequence())
    if not member or redis.call("HSETNX", delayed_bucket("ids", id), id, member) == 0 then
      results[#results + 1] = { "exists", id }
    else
      local is_far = due_ms - now_ms > FAR_MS
      local times, contents = is_far and far_times or near_times, is_far and far_contents or near_contents
      local last = #times
      times[last + 1], times[last + 2], contents[last + 1], contents[last + 2] = due_ms, member, member, step[at + 4]
      if not is_far and due_ms < first_ms then first_ms = due_ms end
      if chain then redis.call("SADD", prefix .. ":delayed:chain:" .. chain, id) end
      counts[priority] = (counts[priority] or 0) + 1
      results[#results + 1] = 1
    end
  end
  for priority, by in pairs(counts) do count_waiting("", priority, by) end
  if first_ms < math.huge then wake_for(first_ms) end
  put_tier(near_due, near_bodies, near_times, near_contents)
  put_tier(far_due, far_bodies, far_times, far_contents)
  return results
end
