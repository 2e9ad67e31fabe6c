--[[
of_system: whether an event is one that the system says of itself. Of these are other totals.
]]
local function is_of_system(event_type)
  local first = string.byte(event_type)
  if first ~= 115 and first ~= 99 then return false end -- neither "s" nor "c", as of nearly all
  first = string.match(event_type, "^[^.]*")
  return first == "system" or first == "cron"
end
