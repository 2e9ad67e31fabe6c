--[[
forget_cancelled: drop the record of a delayed event that was cancelled, because its id is used again.

Kept, it would call the new event cancelled, and expire under it.

Uses: prefix
]]
local function forget_cancelled(event_id)
  redis.call("DEL", prefix .. ":event:" .. event_id)
  redis.call("ZREM", prefix .. ":status:cancelled", event_id)
end
