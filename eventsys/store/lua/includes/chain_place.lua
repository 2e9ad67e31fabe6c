--[[
chain_place: note where an event of a chain stands, for those who ask for the chain: eleven bytes, in the order they came.

A chain begins with an event whose correlation id is its own. It gets a list only when a second event joins, so lone
events cost nothing.

Uses: prefix
]]
-- include: read_envelope
local home_codes = { system = 100, cron = 101 }

local function packed_place(home, entry)
  local ms, number = string.match(entry, "^(%d+)-(%d+)$")
  return struct.pack(">I6I4B", ms, number, home_codes[home] or tonumber(home))
end

-- Returns the place of the event a chain is named after, or "" when it is not of that chain, or not there.
local function first_place(chain)
  local place = redis.call("HGET", prefix .. ":event:" .. chain, "log")
  if not place then return "" end
  local home, entry = string.match(place, "^(%w+):(.+)$")
  local found = redis.call("XRANGE", prefix .. ":log:" .. home, entry, entry)[1]
  if not found then return "" end
  local event_id, _, own_chain = read_envelope(found[2][2])
  return event_id and own_chain == chain and packed_place(home, entry) or ""
end

-- Fails as `chain_place` would, where the list is of another type, before anything is written.
local function check_chain(chain)
  redis.call("STRLEN", prefix .. ":chain:" .. chain)
end

local function chain_place(chain, event_id, home, entry)
  local list = prefix .. ":chain:" .. chain
  local place = packed_place(home, entry)
  if chain == event_id then
    -- It comes after events that were given its id as their correlation id.
    if redis.call("EXISTS", list) == 1 then redis.call("APPEND", list, place) end
  elseif redis.call("APPEND", list, place) == #place then
    local first = first_place(chain)
    if first ~= "" then redis.call("SET", list, first .. place) end
  end
end
