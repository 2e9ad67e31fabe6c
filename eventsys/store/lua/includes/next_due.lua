--[[
next_due: when the first thing that waits for its time is due, in ms; -1 when nothing waits.
]]
local function next_due(prefix)
  local next_ms = -1
  for _, name in ipairs({ ":delayed:due", ":delayed:far:due", ":releases" }) do
    local head_ms = tonumber(redis.call("ZRANGE", prefix .. name, 0, 0, "WITHSCORES")[2] or -1)
    if head_ms >= 0 and (next_ms < 0 or head_ms < next_ms) then next_ms = head_ms end
  end
  return next_ms
end
