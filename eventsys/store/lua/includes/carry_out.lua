--[[
carry_out: do what a step says, and return what came of it.

Steps are how everything that enters eventsys is written down: an event to store, a message to queue, either of them
later, the tick of a periodic actor, the tick or the run of a cron task. They come from a publisher, ride on a commit,
or wait in the delayed store.
]]
-- include: next_entry
-- include: number_entry
-- include: chain_place
-- include: count
-- include: forget_cancelled
-- include: expiring
-- include: add_event
-- include: add_message
local steps = { event = add_event, message = add_message }

-- All others are rarer. What does them is made when one comes, because making a function for each costs every script that
-- publishes or commits.
local add_rare_steps
-- include: delayed_at_once

-- `due_ms` is given when the step waited in the delayed store: when it was due.
local function carry_out(step, due_ms)
  if not steps[step[1]] then add_rare_steps() end
  return steps[step[1]](step, due_ms)
end

-- include: add_tick
-- include: cron_steps
add_rare_steps = function()
-- include: add_delayed
-- include: add_delayed_events
  steps.delayed = add_delayed
  steps.delayed_events = add_delayed_events
  steps.tick = add_tick
  for name, carry in pairs(cron_steps()) do steps[name] = carry end
end
