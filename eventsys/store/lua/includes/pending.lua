--[[
pending: which events are not over yet, in two writes a script however many come and end. `keep_pending` makes them;
`keep_counts` calls it.

Uses: prefix, now_ms
]]
-- A call takes some thousand values and no more.
local most_pending_at_once = 1000
local entering, entered, leaving = {}, 0, {}

local function keep_pending()
  local key = prefix .. ":pending"
  if entered > 0 then
    local stored_ms, scored = string.format("%.0f", now_ms), {}
    for event_id in pairs(entering) do
      scored[#scored + 1] = stored_ms
      scored[#scored + 1] = event_id
    end
    if #scored > 0 then redis.call("ZADD", key, unpack(scored)) end
    entering, entered = {}, 0
  end
  if #leaving > 0 then
    redis.call("ZREM", key, unpack(leaving))
    leaving = {}
  end
end

local function enter_pending(event_id)
  entering[event_id] = true
  entered = entered + 1
  if entered == most_pending_at_once then keep_pending() end
end

local function leave_pending(event_id)
  if entering[event_id] then
    entering[event_id] = nil
    return
  end
  leaving[#leaving + 1] = event_id
  if #leaving == most_pending_at_once then keep_pending() end
end
