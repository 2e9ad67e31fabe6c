--[[
add: take in what is published, queued or scheduled.

Each step is carried out once: the same event, or the same delayed entry, sent again after a lost reply is recognised
by its id. The steps of one call are taken in together or, when Redis or the history is full, not at all.

KEYS
  1  prefix of the bus
     Reads and writes below it: clock, counts, metrics:<...>, log:<lane>, type:<type>, types, chain:<correlation id>,
     history, event:<id>, pending, once:<key>, queue:<queue>:<lane>, delayed:due, delayed:bodies, delayed:far:due,
     delayed:far:bodies, delayed:ids:<bucket>, delayed:keys:<bucket>,
     delayed:chain:<correlation id>, delayed:queues, delayed:priorities, delayed:sequence, expiring,
     status:cancelled, periodic:ticks, periodic:last, periodic:doubled, periodic:specs, cron:task:<name>, cron:open:<name>,
     cron:history:<name>
ARGV
  1    now_ms    the caller's clock
  2..  steps     msgpack, as includes/carry_out describes them
RETURNS
  for each step what came of it: {"stored", id}, {"duplicate", id, envelope}, {"queued", entry}, {"delayed", id},
  {"exists", id}, {"taken", id}, {"taken", actor}, or what includes/cron_steps.lua returns; the error HISTORYFULL when
  events that nobody dispatched fill the history
]]
local prefix = KEYS[1]
local now_ms = tonumber(ARGV[1])

-- include: carry_out

local function is_full()
  local most, added, dispatched =
    unpack(redis.call("HMGET", prefix .. ":history", "most_bytes", "added_bytes", "dispatched_bytes"))
  return most and tonumber(added or 0) - tonumber(dispatched or 0) >= tonumber(most)
end

local taken_in, has_events = {}, false
for at = 2, #ARGV do
  local step = cmsgpack.unpack(ARGV[at])
  taken_in[at - 1] = step
  has_events = has_events or step[1] == "event"
end
if has_events and is_full() then
  return redis.error_reply("HISTORYFULL events that nobody dispatched have reached retention_bytes")
end

local results = {}
for at, step in ipairs(taken_in) do results[at] = carry_out(step) end
keep_counts()
keep_entry_clock()
return results
