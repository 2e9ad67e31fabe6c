--[[
note_effect: note that a step of a delivery has taken effect.

Noted again, the first time stays. Redis admits it at its memory limit: what it tells of has happened already.

KEYS
  1  prefix of the bus
     Reads and writes below it: effects:<event id>
ARGV
  1  now_ms    the caller's clock
  2  event_id  the event
  3  name      the step: `<subscription>|<step>`
  4  keep_ms   how long it is remembered
RETURNS
  1 when it was noted, 0 when it had been before
]]
local effects = KEYS[1] .. ":effects:" .. ARGV[2]
local now_ms, keep_ms = tonumber(ARGV[1]), tonumber(ARGV[4])

redis.call("DEL", KEYS[1] .. ":scratch")

local noted = redis.call("HGET", effects, ARGV[3])
if noted and tonumber(noted) > now_ms then return 0 end
redis.call("HSET", effects, ARGV[3], string.format("%.0f", now_ms + keep_ms))
-- Never sooner than for another step of the event, which may be remembered for longer.
if redis.call("PTTL", effects) < 2 * keep_ms then redis.call("PEXPIRE", effects, 2 * keep_ms) end
return 1
