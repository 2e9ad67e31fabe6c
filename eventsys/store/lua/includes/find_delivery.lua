--[[
find_delivery: where a delivery stands that nobody has begun: the stream and the name of its entry.

`place` is what the record says of it, `@<queue>:<lane>:<entry>`: where it was put when the event was dispatched, with no
queue when that was the waiting room of its subscription. From there it may have gone to that room, or to the queue;
then at most `limit` entries of each are looked at. What a process holds counts as begun: it may be at it this moment. So does
what was handed back with the mark of `hand_back` that it had begun.
Returns the stream, the entry and its fields; nothing when it is not found, or held.

Uses: prefix
]]
local function is_held(stream, entry)
  local held = redis.pcall("XPENDING", stream, "workers", entry, entry, 1)
  return not held.err and held[1] ~= nil and (held[1][2] ~= "returned" or held[1][4] > 0)
end

local function is_new(fields)
  return not (fields[5] == "o" and string.find(fields[6], '"replay"', 1, true))
end

local function look_through(stream, from, names, envelope_head, limit, is_wanted)
  for _, entry in ipairs(redis.call("XRANGE", stream, from, "+", "COUNT", limit)) do
    local fields = entry[2]
    if fields[1] == "s" and names[fields[2]] and string.sub(fields[4], 1, #envelope_head) == envelope_head then
      if is_wanted(fields) then return entry end
    end
  end
end

-- Looks through the waiting room of a subscription, then through a lane of its queue. `is_wanted` judges the fields.
local function find_moved(event_id, name, queue, lane, from, limit, is_wanted)
  local now_called = redis.call("HGET", prefix .. ":subscriptions:renamed", name) or name
  local names = { [name] = true, [now_called] = true }
  -- An envelope begins with the id, written as JSON; the slash is the one letter that is escaped here and not there.
  local envelope_head = '{"id":' .. string.gsub(cjson.encode(event_id), "\\/", "/") .. ","
  local row = redis.call("HGET", prefix .. ":subscriptions", now_called)
  if row then queue = cjson.decode(row).queue end
  for _, stream in ipairs({ ":waiting:" .. now_called .. ":" .. lane, ":queue:" .. queue .. ":" .. lane }) do
    local found = look_through(prefix .. stream, from, names, envelope_head, limit, is_wanted)
    if found and not is_held(prefix .. stream, found[1]) then return prefix .. stream, found[1], found[2] end
    if found then return nil end
  end
end

local function find_delivery(event_id, name, place, limit)
  local queue, lane, from = string.match(place, "^@(.*):(%d+):(%d+%-%d+)$")
  if not from then return nil end
  local stream = prefix .. ":queue:" .. queue .. ":" .. lane
  local found = queue ~= "" and redis.call("XRANGE", stream, from, from)[1]
  if not found then return find_moved(event_id, name, queue, lane, from, limit, is_new) end
  if is_held(stream, found[1]) then return nil end
  return stream, found[1], found[2]
end

-- Takes an entry away. Whoever lets go what is due then looks whether the room is empty, or has its turn.
local function drop_entry(stream, entry, name)
  redis.pcall("XACK", stream, "workers", entry)
  redis.call("XDEL", stream, entry)
  redis.call("ZREM", prefix .. ":slots:" .. name, stream .. "|" .. entry)
  if redis.call("SISMEMBER", prefix .. ":waiting", name) == 1 then
    redis.call("ZADD", prefix .. ":releases", now_ms, name)
    redis.call("PUBLISH", prefix .. ":wake", string.format("%.0f", now_ms))
  end
end

-- The type of an event that stands in the log at `place`, `<lane or class>:<entry>`; nil when that was trimmed. An envelope begins
-- with the id and the type, and a quotation mark inside of the id is escaped.
local function logged_type(place)
  local lane, entry = string.match(place or "", "^([^:]+):(.+)$")
  local found = lane and redis.call("XRANGE", prefix .. ":log:" .. lane, entry, entry)[1]
  return found and string.match(found[2][2], '^{"id":".-","type":"([^"]+)"')
end
