--[[
class_of: the class of what the system says of itself, which is kept in a log of its own; nil for all other events.
]]
local function class_of(event_type)
  local first = string.byte(event_type)
  if first ~= 115 and first ~= 99 then return nil end
  return string.match(event_type, "^(system)%.") or string.match(event_type, "^(cron)%.")
end
