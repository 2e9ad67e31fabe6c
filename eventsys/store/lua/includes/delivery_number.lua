--[[
delivery_number: under which field of its record a delivery stands: the number of its subscription, and behind it, for a
delivery of history again, `#` and the number of the replay.

Uses: prefix
]]
local function delivery_number(fields)
  local number, options
  for at = 1, #fields, 2 do
    if fields[at] == "s" then
      -- From the names ever given, since the subscription itself may have ended.
      number = redis.call("HGET", prefix .. ":subscriptions:numbers", fields[at + 1])
    elseif fields[at] == "o" then
      options = fields[at + 1]
    end
  end
  local replay = number and options and string.match(options, '"replay": ?(%d+)')
  return replay and number .. "#" .. replay or number
end
