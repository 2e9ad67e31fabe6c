--[[
lone_dispatch: dispatch an event that comes alone in what that takes at least: somebody waits for its handler.

It leaves behind just what dispatch_event and its commit do (a test compares all keys), without the functions and tables
by which those end many attempts: where nothing else is going on, they take half as long again as all the rest of it. What
is not plain is left to them.

Uses: prefix, process, version, next_entry, fetch_wanted
]]
-- What went wrong behind the point from which the attempt cannot be left to others.
local lone_problem

-- Few targets, and none of them a subscription with a state or limits.
local function are_plain(targets)
  for at = 3, #targets, 4 do
    if targets[at] == "" then return false end
  end
  return #targets > 0 and #targets <= 400
end

-- `given` has the lane and a list with its entry; `dispatched`, `route` and `opened` are as commit.lua has them.
-- Returns what the commit answers; nil where the event was not dispatched: where other attempts end with it, its route is old, somebody asks before its
-- deliveries begin, it has an expiry, is the system's own, was dispatched before, or is not this process's any more.
local function dispatch_lone_event(given, dispatched, route, opened, envelope)
  -- Messages that end with it have nothing in a commit but their entries.
  if #given > 2 or #given[2] > 1 then return nil end
  local _, _, event_id, _, own_lane, expires_ms = unpack(dispatched)
  local its_version, _, targets, wanted = unpack(route, 1, 4)
  if its_version ~= version or expires_ms or not are_plain(targets) then return nil end
  local record = prefix .. ":event:" .. event_id
  local known = redis.pcall("HMGET", record, "open", "log")
  if known.err or known[1] or not known[2] or not string.find(known[2], "^%d") then return nil end
  local entry = given[2][1]
  if redis.pcall("XACK", given[1], "workers", entry) ~= 1 then return nil end

  local fields, stored_ms = { "open", tostring(#targets / 4) }, string.match(entry, "^%d+")
  for at = 1, #targets, 4 do
    local queue, lane, delivery = targets[at + 2], targets[at + 3], next_entry()
    local place = queue .. ":" .. (lane == 0 and own_lane or lane)
    local added =
      redis.pcall("XADD", prefix .. ":queue:" .. place, delivery, "s", targets[at + 1], "e", envelope, "t", stored_ms)
    if type(added) == "table" then
      redis.pcall("HINCRBY", prefix .. ":history", "dispatched_bytes", #envelope)
      lone_problem = added
      return nil
    end
    fields[#fields + 1], fields[#fields + 2] = tostring(targets[at]), "@" .. place .. ":" .. delivery
  end
  redis.call("HSET", record, unpack(fields))
  redis.call("HINCRBY", prefix .. ":counts", "deliveries", #targets / 4)
  local minute, pieces = cmsgpack.pack(math.floor(now_ms / 60000)), cmsgpack.unpack(opened)
  for at, records in ipairs(pieces) do pieces[at] = "\146" .. minute .. records end
  redis.call("RPUSH", prefix .. ":metrics:journal", unpack(pieces))
  keep_entry_clock()
  redis.call("HINCRBY", prefix .. ":history", "dispatched_bytes", #envelope)
  return wanted and { fetch_wanted(wanted), version } or { version }
end
