--[[
add_message: put one message on a lane of a queue.

`step` is {"message", queue, lane, {field, value, ...}}
Returns {"queued", entry}.

Uses: prefix, next_entry
]]
local function add_message(step)
  local stream = prefix .. ":queue:" .. step[2] .. ":" .. step[3]
  return { "queued", redis.call("XADD", stream, next_entry(), unpack(step[4])) }
end
