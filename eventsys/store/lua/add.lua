--[[
add: take in what is published, queued or scheduled.

Each step is carried out once: the same event, or the same delayed entry, sent again after a lost reply is recognised
by its id. The steps of one call are taken in together or, when Redis or the history is full, not at all.

KEYS
  1  prefix of the bus
     Reads and writes below it: clock, counts, metrics:<...>, log:<lane>, type:<type>, types, chain:<correlation id>,
     history, event:<id>, pending, once:<key>, queue:<queue>:<lane>, delayed:due, delayed:bodies, delayed:far:due,
     delayed:far:bodies, delayed:ids:<bucket>, delayed:keys:<bucket>,
     delayed:chain:<correlation id>, delayed:queues, delayed:messages, delayed:priorities, delayed:sequence, delayed:failed, expiring,
     status:cancelled, periodic:ticks, periodic:last, periodic:doubled, periodic:specs, cron:task:<name>, cron:open:<name>,
     cron:history:<name>
ARGV
  1    now_ms    the caller's clock
  2..  steps     msgpack, as includes/carry_out describes them; or {"events", how many, ...}: of any number of events in a row
                 that are alike but for their type the lane, key or false, window ms, chain or false, expire after ms, and of how many
                 types they are; of each of these in turn the type, how many, and the id of each; then the next such. Their
                 envelopes follow, each as it is: within the msgpack they would be made
                 text twice, which takes Lua longer than all the rest of it. Or {"delayed_events", ...}, as
                 includes/add_delayed_events has it
RETURNS
  for each step, and each of several events, what came of it: {"stored", id}, {"duplicate", id, envelope},
  {"queued", entry}, {"delayed", id}, {"exists", id}, {"taken", id}, {"taken", actor}, or what includes/cron_steps.lua
  returns; 1 for one of several that was stored or delayed; the error HISTORYFULL when events that nobody dispatched fill the history
]]
local prefix = KEYS[1]
local now_ms = tonumber(ARGV[1])

-- include: next_entry
-- include: add_message
-- include: lone_event

-- What comes alone, as most does, needs nothing of what follows, whose functions cost more than it does.
if #ARGV == 2 or #ARGV == 3 then
  local step, result = cmsgpack.unpack(ARGV[2]), nil
  if #ARGV == 2 and step[1] == "message" then
    result = add_message(step)
  elseif #ARGV == 3 and step[1] == "events" then
    result = store_lone_event(step, ARGV[3])
  end
  if result then
    keep_entry_clock()
    return { result }
  end
end

local taken_in, at = {}, 2
while at <= #ARGV do
  local step = cmsgpack.unpack(ARGV[at])
  taken_in[#taken_in + 1] = step
  at = at + 1 + (step[1] == "events" and step[2] or 0)
end

-- A function of its own, because the functions made in it take hold of what stands above without a search; among the
-- locals of one level Lua looks for each that they use, one after the other, from the newest.
local function take_in()
-- include: carry_out

local function is_full()
  local most, added, dispatched =
    unpack(redis.call("HMGET", prefix .. ":history", "most_bytes", "added_bytes", "dispatched_bytes"))
  return most and tonumber(added or 0) - tonumber(dispatched or 0) >= tonumber(most)
end

local has_events = false
for _, step in ipairs(taken_in) do has_events = has_events or step[1] == "event" or step[1] == "events" end
if has_events and is_full() then
  return redis.error_reply("HISTORYFULL events that nobody dispatched have reached retention_bytes")
end

delayed_at_once = 0
for _, step in ipairs(taken_in) do
  delayed_at_once = delayed_at_once + (step[1] == "delayed_events" and (#step - 1) / 5 or 1)
end
local results = {}

-- Returns where the last of their envelopes stands, which follow the argument at `envelope_at`.
local function store_events(step, envelope_at)
  local at, last, result_at = 3, #step, #results
  while at < last do
    local lane, once, window_ms, chain, expire_after_ms, types = unpack(step, at, at + 5)
    at = at + 6
    for _ = 1, types do
      local many = step[at + 1]
      local group = group_of(step[at], lane, expire_after_ms, nil, many == 1)
      for event_at = at + 2, at + 1 + many do
        envelope_at, result_at = envelope_at + 1, result_at + 1
        results[result_at] = store_event(step[event_at], ARGV[envelope_at], group, once, window_ms, chain) or 1
      end
      at = at + 2 + many
    end
  end
  return envelope_at
end

local function carry_out_all()
  local argument = 1
  for _, step in ipairs(taken_in) do
    argument = argument + 1
    if step[1] == "events" then
      argument = store_events(step, argument)
    elseif step[1] == "delayed_events" then
      for _, result in ipairs(carry_out(step)) do results[#results + 1] = result end
    else
      results[#results + 1] = carry_out(step)
    end
  end
end

-- Redis takes back nothing that was written before an error; so that is counted, and numbered, all the same.
local is_fine, problem = pcall(carry_out_all)
keep_counts()
keep_entry_clock()
if not is_fine then error(problem, 0) end
return results
end

return take_in()
