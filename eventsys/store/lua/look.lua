--[[
look: see what a bus holds that could be worked on, now or next; for who works by hand and cannot wait for a signal.

KEYS
  1  prefix of the bus
     Reads below it: log:<lane>, queue:<queue>:<lane>, delayed:due, delayed:far:due, releases
ARGV
  1..  queues   names, but not that of the log
RETURNS
  {for each queue how many entries it has; the newest entry of each lane of the log, most urgent first, "" where there is
  none; when the next entry of the delayed store is due or the next delivery is released, in ms, -1 for never}
]]
local prefix = KEYS[1]
local lanes = { 10, 8, 5, 1 }

local lengths = {}
for at, queue in ipairs(ARGV) do
  lengths[at] = 0
  for _, lane in ipairs(lanes) do
    lengths[at] = lengths[at] + redis.call("XLEN", prefix .. ":queue:" .. queue .. ":" .. lane)
  end
end

local newest = {}
for at, lane in ipairs(lanes) do
  local entry = redis.call("XREVRANGE", prefix .. ":log:" .. lane, "+", "-", "COUNT", 1)[1]
  newest[at] = entry and entry[1] or ""
end

local next_ms = -1
for _, key in ipairs({ ":delayed:due", ":delayed:far:due", ":releases" }) do
  local head = tonumber(redis.call("ZRANGE", prefix .. key, 0, 0, "WITHSCORES")[2])
  if head and (next_ms < 0 or head < next_ms) then next_ms = head end
end
return { lengths, newest, next_ms }
