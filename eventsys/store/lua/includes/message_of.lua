--[[
message_of: whether an open delivery has a message somewhere: on a lane, in a waiting room, in the delayed store, or as a
dead letter.

What is looked through costs of `budget`, which a script gives out once. Where that is used up, or something is met that
nobody can read, the answer is nil: it may have one. False is said only after a look at every place where it could be.

Uses: prefix, current_name, near_due, near_bodies, far_due, far_bodies, delayed_bucket
]]
local budget = { left = 0 }
local room_and_queue_lanes = { 10, 8, 5, 1 }

-- The names a subscription has and had, since what waits may still bear a former one.
local function names_of(name)
  local now_called = current_name(name)
  local names = { [name] = true, [now_called] = true }
  local renamed = redis.call("HKEYS", prefix .. ":subscriptions:renamed")
  for _, former in ipairs(renamed) do
    if current_name(former) == now_called then names[former] = true end
  end
  return names, now_called
end

-- Says whether fields are those of a delivery of the event to one of the names; nil when that cannot be read.
local function is_delivery_of(fields, event_id, names)
  local said = {}
  for at = 1, #fields, 2 do said[fields[at]] = fields[at + 1] end
  if not said.s or not names[said.s] then return false end
  if said.o and string.find(said.o, '"replay"', 1, true) then return false end
  local id = string.match(said.e or "", '^{"id":"([^"\\]*)"')
  if id then return id == event_id end
  local is_read, header = pcall(cjson.decode, said.e or "")
  if not is_read or type(header) ~= "table" then return nil end
  return header.id == event_id
end

local function is_in_stream(stream, from, event_id, names)
  budget.left = budget.left - 1
  local start = from
  while true do
    local entries = redis.call("XRANGE", stream, start, "+", "COUNT", 100)
    budget.left = budget.left - #entries
    for _, entry in ipairs(entries) do
      local is_it = is_delivery_of(entry[2], event_id, names)
      if is_it ~= false then return is_it end
    end
    if #entries < 100 then return false end
    if budget.left <= 0 then return nil end
    start = "(" .. entries[#entries][1]
  end
end

-- What the delayed store's index names and its tiers do not have is nothing.
local function is_delayed(event_id, names)
  for name in pairs(names) do
    local id = event_id .. ":" .. name
    local member = redis.call("HGET", delayed_bucket("ids", id), id)
    if member then
      if redis.call("ZSCORE", near_due, member) and redis.call("HEXISTS", near_bodies, member) == 1 then return true end
      if redis.call("ZSCORE", far_due, member) and redis.call("HEXISTS", far_bodies, member) == 1 then return true end
    end
  end
  return false
end

-- A letter of what could not be read is named after the place where that stood.
local function is_letter(event_id, names)
  for name in pairs(names) do
    if redis.call("EXISTS", prefix .. ":dead:" .. event_id .. ":" .. name) == 1 then return true end
  end
  local junk = prefix .. ":letters:junk"
  budget.left = budget.left - redis.call("ZCARD", junk)
  if budget.left <= 0 then return nil end
  for _, letter_id in ipairs(redis.call("ZRANGE", junk, 0, -1)) do
    local s, e, o = unpack(redis.call("HMGET", prefix .. ":dead:" .. letter_id, "s", "e", "o"))
    local is_it = s and is_delivery_of({ "s", s, "e", e or "", "o", o or "" }, event_id, names)
    if is_it == nil or is_it then return is_it end
  end
  return false
end

local function streams_of(names, queues)
  local streams = {}
  for _, lane in ipairs(room_and_queue_lanes) do
    for name in pairs(names) do streams[#streams + 1] = prefix .. ":waiting:" .. name .. ":" .. lane end
    for queue in pairs(queues) do streams[#streams + 1] = prefix .. ":queue:" .. queue .. ":" .. lane end
  end
  return streams
end

-- `value` is what the record says of the delivery, `from` the event's place in the log: whatever came of it is later.
local function has_message(event_id, value, names, now_called, from)
  local queue, lane, entry = string.match(value, "^@(.*):(%d+):(%d+%-%d+)$")
  local queues = { ["eventsys.inline"] = true }
  if queue and queue ~= "" then
    queues[queue] = true
    local stream = prefix .. ":queue:" .. queue .. ":" .. lane
    if #redis.call("XRANGE", stream, entry, entry) == 1 then return true end
    if redis.call("EXISTS", prefix .. ":dead:" .. stream .. "|" .. entry) == 1 then return true end
  end
  if is_delayed(event_id, names) then return true end
  local lettered = is_letter(event_id, names)
  if lettered ~= false then return lettered end
  local row = redis.call("HGET", prefix .. ":subscriptions", now_called)
  if row then queues[cjson.decode(row).queue] = true end
  for _, one in ipairs(redis.call("SMEMBERS", prefix .. ":queues")) do
    if one ~= "eventsys.log" then queues[one] = true end
  end
  for _, stream in ipairs(streams_of(names, queues)) do
    local found = is_in_stream(stream, from, event_id, names)
    if found ~= false then return found end
    if budget.left <= 0 then return nil end
  end
  return false
end
