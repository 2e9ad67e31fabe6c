--[[
cancel_delivery: end the delivery that `fields` describes, names and values in turn, as cancelled; leave alone what is
no delivery.

Uses: prefix, now_ms, end_delivery
]]
-- include: delivery_number
local function cancel_delivery(fields)
  if fields[1] ~= "s" then return end
  local number = delivery_number(fields)
  local read, header = pcall(cjson.decode, fields[4] or "")
  if number and read and type(header) == "table" then
    end_delivery(header.id, number, string.format("c%.0f,0,0", now_ms), false, header.type)
  end
end
