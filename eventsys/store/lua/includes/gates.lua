--[[
gates: whether a delivery may go to its queue now, or waits in the room of its subscription.

A subscription may be paused, its breaker may be open, or its limits may be reached. Only those that have such a state
or such limits come here; all others go past. What waits goes back in the order it came, a priority at a time, and new
deliveries line up behind it.

Uses: prefix, now_ms, next_entry
]]
-- include: spared

local room_lanes = { 10, 8, 5, 1 }
local room_turns = { 10, 10, 8, 10, 10, 5, 10, 8, 10, 10, 8, 10, 1, 5, 8 }
local periods_ms = { s = 1000, m = 60000, h = 3600000 }
local probe_pause_ms = 1000
local release_budget = 500
local gates = {}

local function own_value(value)
  if value == cjson.null then return nil end
  return value
end

-- The name that deliveries of a renamed subscription go by now.
local function current_name(name)
  for _ = 1, 8 do
    local renamed = redis.call("HGET", prefix .. ":subscriptions:renamed", name)
    if not renamed then return name end
    name = renamed
  end
  return name
end

-- Returns how a subscription stands, read once a script; false when there is none of this name.
local function gate_of(name)
  if gates[name] ~= nil then return gates[name] end
  local row = redis.call("HGET", prefix .. ":subscriptions", name)
  if not row then
    gates[name] = false
    return false
  end
  row = cjson.decode(row)
  local state = redis.call("HGET", prefix .. ":subscriptions:states", name)
  local gate = {
    name = name, queue = row.queue, key = prefix .. ":gate:" .. name, slots = prefix .. ":slots:" .. name,
    is_paused = state == "paused", is_resuming = state == "resuming",
    opened_ms = tonumber(redis.call("HGET", prefix .. ":subscriptions:open", name) or nil),
    someone_waits = redis.call("SISMEMBER", prefix .. ":waiting", name) == 1,
    concurrency = own_value(row.concurrency), breaker = own_value(row.breaker), wait_ms = row.breaker_wait_ms,
  }
  local rate = own_value(row.rate)
  if rate then
    local count, period = string.match(rate, "^(%d+)/(%a)$")
    gate.interval_ms = periods_ms[period] / tonumber(count)
    -- Only bounds what goes to a queue that nobody reads: more than ten seconds of work is not let go at once.
    gate.most_slots = 1000 + math.floor(10000 / gate.interval_ms)
  end
  gate.most_slots = gate.concurrency or gate.most_slots
  gate.is_limited = gate.most_slots ~= nil
  gates[name] = gate
  return gate
end

local function room_of(name, lane)
  return prefix .. ":waiting:" .. name .. ":" .. lane
end

-- Every dispatcher and worker has to look at the subscriptions again.
local function tell_of_change()
  redis.call("INCR", prefix .. ":subscriptions:version")
end

-- Has the room of a subscription looked at when its time has come, by whoever lets go what is due.
local function look_again(name, at_ms)
  local releases = prefix .. ":releases"
  local planned = redis.call("ZSCORE", releases, name)
  if planned and tonumber(planned) <= at_ms then return end
  redis.call("ZADD", releases, string.format("%.0f", math.ceil(at_ms)), name)
  if redis.call("ZRANGE", releases, 0, 0)[1] == name then
    redis.call("PUBLISH", prefix .. ":wake", string.format("%.0f", math.ceil(at_ms)))
  end
end

-- include: limits

local function drop_limit(fields)
  local _, at = limit_of(fields)
  if at then
    table.remove(fields, at + 1)
    table.remove(fields, at)
  end
end

-- What a paused subscription or an open breaker holds back is never too late.
local function forget_limit(name, fields)
  local gate = gates[name]
  if not gate or not (gate.is_paused or gate.opened_ms) then return end
  drop_limit(fields)
end

local function wait_in_room(name, lane, fields)
  forget_limit(name, fields)
  redis.call("XADD", room_of(name, lane), next_entry(), unpack(fields))
  -- A process that has the handler may be idle, and looks at rooms when it hears of one.
  if redis.call("SADD", prefix .. ":waiting", name) == 1 then redis.call("INCR", prefix .. ":news") end
  if gates[name] then gates[name].someone_waits = true end
end

-- Returns the entry and its mark.
local function enter_queue(gate, lane, fields)
  if fields[1] == "s" then fields[2] = gate.name end
  local stream = prefix .. ":queue:" .. gate.queue .. ":" .. lane
  local entry = redis.call("XADD", stream, next_entry(), unpack(fields))
  local mark = stream .. "|" .. entry
  if gate.is_limited then redis.call("ZADD", gate.slots, string.format("%.0f", now_ms), mark) end
  return entry, mark
end

-- Gives a new delivery to its subscription: to the queue, or to the room. Returns its entry and its queue, or "" twice.
local function offer(name, lane, fields)
  local gate = gate_of(name)
  if not gate or gate.is_paused or gate.opened_ms or gate.someone_waits then
    wait_in_room(name, lane, fields)
    if gate and not gate.is_paused and not gate.opened_ms then plan(gate) end
    return "", ""
  end
  if allowed_starts(gate, "paced", paced_ahead_ms) < 1 or free_slots(gate) < 1 then
    wait_in_room(name, lane, fields)
    plan(gate)
    return "", ""
  end
  pay(gate, "paced", 1)
  return (enter_queue(gate, lane, fields)), gate.queue
end

local function next_lane(gate, full)
  if #full == 1 then return 1 end
  local turn = room_turns[redis.call("HINCRBY", gate.key, "turn", 1) % #room_turns + 1]
  for at, lane in ipairs(full) do
    if lane == turn then return at end
  end
  return 1
end

-- Moves what has waited longest, of each priority by turns, and returns how many and the mark of the last one.
local function move_from_room(gate, count)
  local full = {}
  for _, lane in ipairs(room_lanes) do
    if redis.call("XLEN", room_of(gate.name, lane)) > 0 then full[#full + 1] = lane end
  end
  local moved, mark = 0, nil
  while moved < count and #full > 0 do
    local at = next_lane(gate, full)
    local room, wanted = room_of(gate.name, full[at]), #full == 1 and count - moved or 1
    local entries = redis.call("XRANGE", room, "-", "+", "COUNT", wanted)
    for _, entry in ipairs(entries) do
      local _
      if is_spared(gate.name, entry[1], entry[2]) then drop_limit(entry[2]) end
      _, mark = enter_queue(gate, full[at], entry[2])
      redis.call("XDEL", room, entry[1])
    end
    moved = moved + #entries
    if #entries < wanted then table.remove(full, at) end
  end
  return moved, mark
end

local function is_room_empty(gate)
  for _, lane in ipairs(room_lanes) do
    if redis.call("XLEN", room_of(gate.name, lane)) > 0 then return false end
  end
  for _, lane in ipairs(room_lanes) do redis.call("DEL", room_of(gate.name, lane)) end
  redis.call("SREM", prefix .. ":waiting", gate.name)
  gate.someone_waits = false
  if gate.is_resuming then
    gate.is_resuming = false
    redis.call("HDEL", prefix .. ":subscriptions:states", gate.name)
    tell_of_change()
  end
  return true
end

-- From here on deliveries go to the queue again, but behind those that wait.
local function begin_to_resume(gate)
  tell_of_change()
  redis.call("HDEL", prefix .. ":subscriptions:states", gate.name)
  if is_room_empty(gate) then return end
  gate.is_resuming = true
  redis.call("HSET", prefix .. ":subscriptions:states", gate.name, "resuming")
  look_again(gate.name, now_ms)
end

local function open_breaker(gate)
  if not gate.opened_ms and not gate.is_paused then note_closing(gate.name) end
  gate.opened_ms = now_ms
  redis.call("HSET", prefix .. ":subscriptions:open", gate.name, string.format("%.0f", now_ms))
  look_again(gate.name, now_ms + gate.wait_ms)
end

local function close_breaker(gate, failures)
  gate.opened_ms = nil
  redis.call("HDEL", prefix .. ":subscriptions:open", gate.name)
  redis.call("HDEL", gate.key, "probe")
  redis.call("HSET", gate.key, "failures", failures)
  if gate.is_paused then
    tell_of_change()
  else
    begin_to_resume(gate)
  end
end

-- Lets one delivery try whether an open breaker can be closed; where none waits, the next that comes will.
local function probe(gate)
  if not gate.breaker then return close_breaker(gate, 0) end
  if gate.opened_ms > now_ms + clocks_differ_ms then
    -- It opened before the clock was set back: the wait begins anew.
    gate.opened_ms = now_ms
    redis.call("HSET", prefix .. ":subscriptions:open", gate.name, string.format("%.0f", now_ms))
  end
  local due_ms = gate.opened_ms + gate.wait_ms
  local mark = redis.call("HGET", gate.key, "probe")
  local stream, entry = string.match(mark or "", "^(.*)|([^|]*)$")
  if now_ms < due_ms then
    look_again(gate.name, due_ms)
  elseif stream and #redis.call("XRANGE", stream, entry, entry) == 1 then
    look_again(gate.name, now_ms + gate.wait_ms)
  elseif is_room_empty(gate) then
    close_breaker(gate, gate.breaker - 1)
  elseif free_slots(gate) < 1 then
    look_again(gate.name, now_ms + probe_pause_ms)
  else
    local _
    _, mark = move_from_room(gate, 1)
    redis.call("HSET", gate.key, "probe", mark)
    look_again(gate.name, now_ms + gate.wait_ms)
  end
end

-- Puts what may run now back on the queue, and returns how many that were. Safe to call at any time.
local function release(name)
  local gate = gate_of(name)
  redis.call("ZREM", prefix .. ":releases", name)
  if not gate or gate.is_paused or redis.call("HEXISTS", gate.key, "unhosted") == 1 then return 0 end
  if gate.opened_ms then
    probe(gate)
    return 0
  end
  local allowed = math.min(allowed_starts(gate, "paced", paced_ahead_ms), free_slots(gate))
  local moved = allowed >= 1 and move_from_room(gate, math.min(allowed, release_budget)) or 0
  release_budget = release_budget - moved
  pay(gate, "paced", moved)
  if is_room_empty(gate) then return moved end
  if moved < allowed then
    look_again(name, now_ms)
  else
    plan(gate)
  end
  return moved
end

-- Says whether a process may begin an entry that it holds.
local function may_begin(gate, mark)
  if gate.is_paused then return false end
  local is_probe = mark == redis.call("HGET", gate.key, "probe")
  if gate.opened_ms and not is_probe then return false end
  if not gate.is_limited then return true end
  -- Those let in under a wider limit have more slots than there are now: the oldest keep theirs.
  local rank = redis.call("ZRANK", gate.slots, mark)
  local has_slot = rank and rank < gate.most_slots
  if not is_probe then
    if not has_slot and free_slots(gate) < 1 then return false end
    if allowed_starts(gate, "begun", begun_ahead_ms) < 1 then return false end
  end
  pay(gate, "begun", 1)
  if not rank then redis.call("ZADD", gate.slots, string.format("%.0f", now_ms), mark) end
  return true
end

-- What an ended attempt means for its subscription. `verdict` is "s" succeeded, "f" failed, or "" for neither.
local function note_end(name, mark, verdict)
  -- An attempt may have begun before its subscription was renamed.
  local gate = gate_of(name) or gate_of(current_name(name))
  if not gate then return end
  local had_slot = redis.call("ZREM", gate.slots, mark) == 1
  if gate.breaker and gate.opened_ms then
    if redis.call("HGET", gate.key, "probe") == mark then
      redis.call("HDEL", gate.key, "probe")
      if verdict == "s" then
        close_breaker(gate, 0)
      elseif verdict == "f" then
        open_breaker(gate)
      else
        look_again(gate.name, now_ms)
      end
    end
  elseif gate.breaker and verdict == "s" then
    redis.call("HDEL", gate.key, "failures")
  elseif gate.breaker and verdict == "f" then
    if redis.call("HINCRBY", gate.key, "failures", 1) >= gate.breaker then
      open_breaker(gate)
      tell_of_change()
    end
  end
  if had_slot and gate.someone_waits and not gate.is_paused and not gate.opened_ms then release(gate.name) end
end

-- Puts a delivery back into the room that was given out already, as `entry` of its queue; `is_hosted` says that only its state holds it back.
local function turn_back(former, lane, fields, is_hosted, entry)
  local name = current_name(former)
  if is_spared(name, entry, fields) then drop_limit(fields) end
  wait_in_room(name, lane, fields)
  local gate = gate_of(name)
  if not gate then
    -- It has ended meanwhile, and is settled perhaps: whoever settles it comes by once more, and cancels this too.
    redis.call("HSETNX", prefix .. ":subscriptions:ended", name, "")
    redis.call("INCR", prefix .. ":news")
  elseif not is_hosted then
    -- Whoever has its handler takes this mark away; until then nothing is let go in vain.
    redis.call("HSET", gate.key, "unhosted", 1)
  elseif not gate.is_paused and not gate.opened_ms then
    look_again(name, now_ms)
  end
end
