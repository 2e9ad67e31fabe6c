--[[
publish_inline: store an event and dispatch it in the same step, with the deliveries of some handlers leased to the
publisher, which is about to run them itself.

Should it die, they are taken over like any other message it held. The dispatcher finds the event dispatched and
leaves it alone.

KEYS
  1  prefix of the bus
     Reads and writes below it: what add.lua and admit_deliveries.lua do, subscriptions:version, queue:eventsys.inline:<lane>
ARGV
  1  now_ms          the caller's clock
  2  process         who publishes
  3  version         of the subscriptions the targets were computed with
  4  retention_ms    how long the record of a finished event is kept
  5  step            msgpack: {"event", ...} as includes/add_event describes it
  6  targets         msgpack: flat list as includes/dispatch_event describes it
  7  inline count    the last so many targets are the publisher's
RETURNS
  {"stored", id, keys of the inline lanes and entries in turn}, {"duplicate", id, envelope}, or {"stale"} when the
  subscriptions changed: nothing was done then
]]
local prefix, process = KEYS[1], ARGV[2]
local now_ms, retention_ms = tonumber(ARGV[1]), tonumber(ARGV[4])

-- include: carry_out
-- include: finish_event
-- include: gates
-- include: dispatch_event

if ARGV[3] ~= (redis.call("GET", prefix .. ":subscriptions:version") or "0") then return { "stale" } end

local step, targets = cmsgpack.unpack(ARGV[5]), cmsgpack.unpack(ARGV[6])
local result = add_event(step)
if result[1] == "duplicate" then return result end

local stored_ms = string.format("%.0f", now_ms)
local entries = dispatch_event(step[2], step[4], step[5], targets, step[3], stored_ms, expiry_of(step[9]))
count_opened(targets, step[3], 1)
for at = #entries - tonumber(ARGV[7]) + 1, #entries do
  local target = (at - 1) * 4
  local lane = targets[target + 4] ~= 0 and targets[target + 4] or step[4]
  local stream = prefix .. ":queue:" .. targets[target + 3] .. ":" .. lane
  redis.pcall("XGROUP", "CREATE", stream, "workers", "0", "MKSTREAM")
  redis.call("XCLAIM", stream, "workers", process, 0, entries[at], "FORCE", "JUSTID")
  result[#result + 1] = stream
  result[#result + 1] = entries[at]
end
keep_counts()
keep_entry_clock()
return result
