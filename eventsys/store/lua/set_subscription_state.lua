--[[
set_subscription_state: pause a subscription, or resume it.

Paused, its deliveries gather in its waiting room. Resumed, those that wait go first, in bounded steps, and what is
dispatched meanwhile lines up behind them. Every dispatcher and every worker learns of it by the version of the set.

KEYS
  1  prefix of the bus
     Reads and writes below it: subscriptions, subscriptions:states, subscriptions:open, subscriptions:version, waiting,
     gate:<subscription>, releases; sends on the channel wake
ARGV
  1  now_ms         the caller's clock
  2  subscription
  3  state          paused or active
RETURNS
  1 when that changed something, 0 when it was so already, -1 when there is no such subscription
]]
local prefix, name = KEYS[1], ARGV[2]
local now_ms = tonumber(ARGV[1])

redis.call("DEL", prefix .. ":scratch")

-- include: next_entry
-- include: gates

local gate = gate_of(name)
if not gate then return -1 end
if ARGV[3] == "paused" then
  if gate.is_paused then return 0 end
  if not gate.opened_ms then note_closing(name) end
  redis.call("HSET", prefix .. ":subscriptions:states", name, "paused")
  redis.call("ZREM", prefix .. ":releases", name)
  tell_of_change()
  return 1
end
if not gate.is_paused then return 0 end
gate.is_paused = false
if gate.opened_ms then
  redis.call("HDEL", prefix .. ":subscriptions:states", name)
  tell_of_change()
  look_again(name, gate.opened_ms + gate.wait_ms)
else
  begin_to_resume(gate)
end
return 1
