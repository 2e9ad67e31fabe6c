--[[
expiring: which events are worth nothing any more once a moment has passed, for the sweep that looks after them.

The moment is written on the entries of the lanes too, where whoever begins a delivery reads it.

Uses: prefix
]]
local expiring_key = prefix .. ":expiring"
local has_expiring

local function note_expiry(event_id, expires_ms)
  redis.call("ZADD", expiring_key, expires_ms, event_id)
  has_expiring = true
end

local function forget_expiry(event_id)
  if has_expiring == nil then has_expiring = redis.call("EXISTS", expiring_key) == 1 end
  if has_expiring then redis.call("ZREM", expiring_key, event_id) end
end
