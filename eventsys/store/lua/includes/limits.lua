--[[
limits: how many deliveries of a subscription may begin now, by its rate and by the slots of its concurrency.

A slot is held by an entry of a queue, not by a process: when the process dies, whoever takes the entry over goes on in
the same slot, and the commit that ends it gives it up. One whose entry is gone is found when slots run short.

The rate is kept twice. `paced` counts what is let go to the queue, so that what would be turned away does not travel;
`begun` counts what processes were given to begin, and is the limit. Each holds the time up to which starts are paid
for; a start is allowed when that is no further ahead than a few milliseconds, which make up for timers that are late.

Uses: prefix, now_ms, look_again
]]
local paced_ahead_ms, begun_ahead_ms = 20, 60
local prune_pause_ms, most_pruned = 5000, 100
-- By how much the clocks of processes may differ, in ms: each would take back what those ahead of it have paid.
local clocks_differ_ms = 1000

local function paid_until(gate, count_of)
  return math.max(tonumber(redis.call("HGET", gate.key, count_of) or "0"), now_ms)
end

-- No start of this rate pays for more than an interval ahead. What is further was paid at a lower rate, before a clock
-- was set back, or for those that tried an open breaker; nothing would begin until then.
local function take_back_overpaid(gate, count_of, ahead_ms)
  local most_ms = now_ms + ahead_ms + gate.interval_ms
  if paid_until(gate, count_of) <= most_ms + clocks_differ_ms then return end
  redis.call("HSET", gate.key, count_of, string.format("%.3f", most_ms))
end

-- Returns how many starts the rate allows now.
local function allowed_starts(gate, count_of, ahead_ms)
  if not gate.interval_ms then return math.huge end
  take_back_overpaid(gate, count_of, ahead_ms)
  return math.floor((now_ms + ahead_ms - paid_until(gate, count_of)) / gate.interval_ms) + 1
end

local function pay(gate, count_of, starts)
  if not gate.interval_ms or starts == 0 then return end
  redis.call("HSET", gate.key, count_of, string.format("%.3f", paid_until(gate, count_of) + starts * gate.interval_ms))
end

-- Looks at some slots, and goes on behind them the next time: the oldest may be those of deliveries that run for hours.
local function give_up_lost_slots(gate)
  local pruned_ms = tonumber(redis.call("HGET", gate.key, "pruned") or "0")
  -- A look that is still to come was before a clock was set back.
  if pruned_ms <= now_ms and now_ms - pruned_ms < prune_pause_ms then return end
  redis.call("HSET", gate.key, "pruned", string.format("%.0f", now_ms))
  local at = tonumber(redis.call("HGET", gate.key, "pruned_to") or "0")
  for _, slot in ipairs(redis.call("ZRANGE", gate.slots, at, at + most_pruned - 1)) do
    local stream, entry = string.match(slot, "^(.*)|([^|]*)$")
    if #redis.call("XRANGE", stream, entry, entry) == 0 then
      redis.call("ZREM", gate.slots, slot)
    else
      at = at + 1
    end
  end
  if at >= redis.call("ZCARD", gate.slots) then at = 0 end
  redis.call("HSET", gate.key, "pruned_to", string.format("%.0f", at))
end

local function free_slots(gate)
  if not gate.most_slots then return math.huge end
  local free = gate.most_slots - redis.call("ZCARD", gate.slots)
  if free >= 1 then return free end
  give_up_lost_slots(gate)
  return gate.most_slots - redis.call("ZCARD", gate.slots)
end

-- Plans the next look at a room that time alone will open; one that is full for want of slots is opened by a commit.
local function plan(gate)
  if allowed_starts(gate, "paced", paced_ahead_ms) < 1 then
    look_again(gate.name, paid_until(gate, "paced") - paced_ahead_ms / 2)
  end
end
