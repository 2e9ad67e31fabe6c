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

local function is_gone(list, at, begins)
  local begins_ms, begins_number = string.match(begins, "^(%d+)-(%d+)$")
  local ms, number = struct.unpack(">I6I4", redis.call("GETRANGE", list, at * 11, at * 11 + 9))
  return ms < tonumber(begins_ms) or (ms == tonumber(begins_ms) and number < tonumber(begins_number))
end

-- A list is written anew when more than half of it went, so a long chain costs no more than its length twice.
local function trim_chain(chain, begins)
  local list = prefix .. ":chain:" .. chain
  local length = redis.call("STRLEN", list) / 11
  if length == 0 then return end
  if is_gone(list, length - 1, begins) then
    redis.call("DEL", list)
  elseif length > 1 and is_gone(list, math.floor(length / 2), begins) then
    redis.call("SET", list, redis.call("GETRANGE", list, math.floor(length / 2) * 11, -1))
  end
end
