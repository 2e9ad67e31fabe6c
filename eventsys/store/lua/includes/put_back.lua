--[[
put_back: give a delivery whose message is gone another one, from the envelope in the log.

What it had been through stays: its attempts count, and what waited for its next attempt is tried at once. Where its
subscription has ended it ends as cancelled, and where no envelope is left as dead.

Uses: prefix, now_ms, current_name, gate_of, offer, end_delivery
]]
-- The options of the message after the attempts that its lines tell of, as a worker would have written them.
local function options_after(lines)
  local options = { retries = 0 }
  local before = 0
  for line in string.gmatch(lines, "[^\n]+") do
    local letter = string.sub(line, 1, 1)
    if letter == "r" then
      before = before + options.retries + (options.is_dead and 1 or 0)
      options = { retries = 0, redrives = (options.redrives or 0) + 1, before = before }
    elseif letter == "d" then
      options.is_dead = true
    elseif letter == "f" then
      options.retries = options.retries + 1
      options.first_ms = options.first_ms or tonumber(string.match(line, "^f(%d+)"))
    end
  end
  options.is_dead = nil
  return cjson.encode(options)
end

local function lane_of(value, row, envelope)
  local lane = string.match(value, "^@.*:(%d+):%d+%-%d+$")
  if lane then return lane end
  if row.priority and row.priority ~= cjson.null then return string.format("%.0f", row.priority) end
  local is_read, header = pcall(cjson.decode, envelope)
  return string.format("%.0f", is_read and header.priority or 5)
end

-- `found` is what is known of the event: its id, record, type, envelope, and the ms it was stored.
local function put_back(found, number, value, name)
  local row = redis.call("HGET", prefix .. ":subscriptions", name)
  if not row then
    end_delivery(found.id, number, string.format("c%.0f,0,0", now_ms), false, found.type, -1, -1)
    return "finished"
  end
  if not found.envelope then
    local problem = cjson.encode({ "its message is lost, and its event is not in the log any more", "" })
    end_delivery(found.id, number, string.format("d%.0f,0,0,%s", now_ms, problem), false, found.type, -1, -1)
    return "finished"
  end
  local fields = { "s", name, "e", found.envelope }
  local has_begun = string.sub(value, 1, 1) ~= "@"
  local lane = lane_of(value, cjson.decode(row), found.envelope)
  if has_begun then
    fields[5], fields[6] = "o", options_after(value)
  else
    fields[5], fields[6] = "t", found.stored_ms
    local expires_ms = redis.call("ZSCORE", prefix .. ":expiring", found.id)
    if expires_ms then fields[7], fields[8] = "x", string.format("%.0f", tonumber(expires_ms)) end
  end
  local entry, queue = offer(name, lane, fields)
  if not has_begun then
    if entry == "" then entry = found.stored_ms .. "-0" end
    redis.call("HSET", found.record, number, "@" .. queue .. ":" .. lane .. ":" .. entry)
  end
  return "put_back"
end
