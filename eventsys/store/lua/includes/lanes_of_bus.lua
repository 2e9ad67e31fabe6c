--[[
lanes_of_bus: the keys of all lanes of a bus, those of the log first, and the queue of each.

Uses: prefix
]]
local streams, queue_of = {}, {}
local function add_lanes(queue, stem)
  for _, lane in ipairs({ 10, 8, 5, 1 }) do
    local stream = stem .. ":" .. lane
    streams[#streams + 1] = stream
    queue_of[stream] = queue
  end
end
add_lanes("eventsys.log", prefix .. ":log")
for _, queue in ipairs(redis.call("SMEMBERS", prefix .. ":queues")) do
  if queue ~= "eventsys.log" then add_lanes(queue, prefix .. ":queue:" .. queue) end
end
