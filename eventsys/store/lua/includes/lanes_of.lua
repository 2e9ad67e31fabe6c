--[[
lanes_of: the keys of all lanes of queues, and the queue of each; and all queues of a bus, the log first.

Uses: prefix
]]
local function lanes_of(queues)
  local streams, queue_of = {}, {}
  for _, queue in ipairs(queues) do
    local stem = queue == "eventsys.log" and ":log:" or ":queue:" .. queue .. ":"
    for _, lane in ipairs({ 10, 8, 5, 1 }) do
      local stream = prefix .. stem .. lane
      streams[#streams + 1] = stream
      queue_of[stream] = queue
    end
  end
  return streams, queue_of
end

local function queues_of_bus()
  local queues = { "eventsys.log", "eventsys.inline" }
  for _, queue in ipairs(redis.call("SMEMBERS", prefix .. ":queues")) do
    if queue ~= queues[1] and queue ~= queues[2] then queues[#queues + 1] = queue end
  end
  return queues
end
