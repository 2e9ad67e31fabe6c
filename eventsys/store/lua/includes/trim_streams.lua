--[[
trim_streams: let the streams of the history begin later.

Redis gives memory back by whole nodes, and what is left of the first one is passed over by all who read.

Uses: prefix
]]
local most_trimmed = 10000

local function trim_log(home, begins)
  redis.call("XTRIM", prefix .. ":log:" .. home, "MINID", "~", begins, "LIMIT", most_trimmed)
end

-- A type whose last event went is forgotten: it may never come again.
local function trim_type(event_type, begins)
  local index = prefix .. ":type:" .. event_type
  if #redis.call("XREVRANGE", index, "+", begins, "COUNT", 1) == 0 then
    redis.call("DEL", index)
    redis.call("HDEL", prefix .. ":types", event_type)
  else
    redis.call("XTRIM", index, "MINID", "~", begins, "LIMIT", most_trimmed)
  end
end

-- Where the history begins, and the log of each class by its code in a chain; see chain_place.
local begins_ms, begins_number, classes

local function note_beginnings()
  local begins, of_system, of_cron =
    unpack(redis.call("HMGET", prefix .. ":history", "begins", "begins:system", "begins:cron"))
  local function parts(place)
    local ms, number = string.match(place or "0-0", "^(%d+)-(%d+)$")
    return tonumber(ms), tonumber(number)
  end
  begins_ms, begins_number = parts(begins)
  classes = { [100] = { parts(of_system) }, [101] = { parts(of_cron) } }
end

local function is_past(ms, number)
  return ms < begins_ms or (ms == begins_ms and number < begins_number)
end

-- Events of the system in a chain go by their number, and not with those around them.
local function is_gone(ms, number, code)
  local class = classes[code]
  return is_past(ms, number) or (class ~= nil and (ms < class[1] or (ms == class[1] and number < class[2])))
end

local function place_at(list, at)
  return struct.unpack(">I6I4B", redis.call("GETRANGE", list, at * 11, at * 11 + 10))
end

local function keep_what_is_left(list)
  local packed, left = redis.call("GETRANGE", list, 0, -1), {}
  for at = 1, #packed, 11 do
    if not is_gone(struct.unpack(">I6I4B", packed, at)) then left[#left + 1] = string.sub(packed, at, at + 10) end
  end
  if #left == 0 then
    redis.call("DEL", list)
  elseif #left * 11 < #packed then
    redis.call("SET", list, table.concat(left))
  end
end

-- A short list is cut each time. All of it was gone through when an event of the system went, so what is gone now are
-- the first of its places.
local most_each_time = 100

local function cut_short_list(list, packed)
  if is_past(struct.unpack(">I6I4B", packed, #packed - 10)) then
    redis.call("DEL", list)
    return
  end
  local first = 1
  while is_past(struct.unpack(">I6I4B", packed, first)) do first = first + 11 end
  if first > 1 then redis.call("SET", list, string.sub(packed, first)) end
end

-- A longer one is gone through when about half of it went, so that it costs no more than its length twice; and of a
-- very long one the older half goes at once, when the history begins behind it.
local most_gone_through = 5000

local function trim_long_list(list, length)
  while length > most_gone_through and is_past(place_at(list, math.floor(length / 2))) do
    redis.call("SET", list, redis.call("GETRANGE", list, math.floor(length / 2) * 11, -1))
    length = length - math.floor(length / 2)
  end
  if length > most_gone_through then return end
  local is_due = length <= most_each_time
    or is_gone(place_at(list, math.floor(length / 2)))
    or is_gone(place_at(list, length - 1))
  if is_due then keep_what_is_left(list) end
end

-- Says whether there is a list. `of_class`: what went are events of the system.
local function trim_list(list, of_class)
  local packed = redis.call("GETRANGE", list, 0, most_each_time * 11 - 1)
  if packed == "" then return false end
  if #packed == most_each_time * 11 then
    trim_long_list(list, redis.call("STRLEN", list) / 11)
  elseif of_class then
    keep_what_is_left(list)
  else
    cut_short_list(list, packed)
  end
  return true
end

local chains = prefix .. ":chain:"

local function trim_chain(chain, of_class)
  trim_list(chains .. chain, of_class)
end

-- An event without a correlation id begins a chain if another one has its id as such; most begin none.
local asked_at_once = 16

local function trim_chains_begun(event_ids, of_class)
  for first = 1, #event_ids, asked_at_once do
    local lists = {}
    for at = first, math.min(#event_ids, first + asked_at_once - 1) do lists[#lists + 1] = chains .. event_ids[at] end
    local left, at = redis.call("EXISTS", unpack(lists)), 1
    while left > 0 and lists[at] do
      if trim_list(lists[at], of_class) then left = left - 1 end
      at = at + 1
    end
  end
end
