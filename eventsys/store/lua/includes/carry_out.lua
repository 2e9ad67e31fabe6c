--[[
carry_out: do what a step says, and return what came of it.

Steps are how everything that enters eventsys is written down: an event to store, a message to queue, either of them
later, the tick of a periodic actor, the tick or the run of a cron task. They come from a publisher, ride on a commit, or wait in the delayed store.
]]
-- include: next_entry
-- include: number_entry
-- include: chain_place
-- include: count
-- include: forget_cancelled
-- include: add_event
-- include: add_message
-- include: add_delayed
local steps = { event = add_event, message = add_message, delayed = add_delayed }

local function carry_out(step)
  return steps[step[1]](step)
end

-- include: add_tick
steps.tick = add_tick

-- include: cron_steps
steps.cron_tick = cron_tick
steps.cron_start = cron_start
steps.cron_end = cron_end
