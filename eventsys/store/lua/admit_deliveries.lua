--[[
admit_deliveries: decide which fetched deliveries of subscriptions with a state or limits begin now; the others move to
the waiting room of their subscription in the same step, and no attempt is used.

Sent again after a lost reply it moves nothing twice: an entry that has moved is not pending any more.

KEYS
  1  prefix of the bus
     Reads and writes below it: clock, the lanes given, subscriptions, subscriptions:states, subscriptions:open,
     subscriptions:version, waiting, waiting:<subscription>:<lane>, gate:<subscription>, slots:<subscription>, releases,
     queue:<queue>:<lane>
ARGV
  1    now_ms        the caller's clock
  2..  deliveries    subscription, lane's key, entry, and 1 where a process died that held it: that one begins in any
                     case, since its crashes are counted under this entry; or 2 where it began in time already; of each in
                     turn
RETURNS
  for each delivery 1: it begins; 0: it moved; -1: it is not pending any more
]]
local prefix = KEYS[1]
local now_ms = tonumber(ARGV[1])

redis.call("DEL", prefix .. ":scratch")

-- include: next_entry
-- include: gates

local function turn_away(gate, stream, entry, has_begun)
  local found = redis.call("XRANGE", stream, entry, entry)[1]
  if redis.call("XACK", stream, "workers", entry) == 0 or not found then return -1 end
  if has_begun or is_spared(gate.name, entry, found[2]) then drop_limit(found[2]) end
  wait_in_room(gate.name, string.match(stream, "(%d+)$"), found[2])
  redis.call("XDEL", stream, entry)
  redis.call("ZREM", gate.slots, stream .. "|" .. entry)
  if not gate.is_paused and not gate.opened_ms then
    -- Where it waits for a slot the commit that frees one comes by; this is for a slot that was freed meanwhile.
    if free_slots(gate) >= 1 and not gate.interval_ms then look_again(gate.name, now_ms) end
    plan(gate)
  end
  return 0
end

local verdicts = {}
for at = 2, #ARGV, 4 do
  local gate, stream, entry = gate_of(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
  local verdict = 1
  if gate and ARGV[at + 3] == "1" then
    if gate.is_limited then redis.call("ZADD", gate.slots, string.format("%.0f", now_ms), stream .. "|" .. entry) end
  elseif gate and not may_begin(gate, stream .. "|" .. entry) then
    verdict = turn_away(gate, stream, entry, ARGV[at + 3] == "2")
  end
  verdicts[#verdicts + 1] = verdict
end
keep_entry_clock()
return verdicts
