--[[
end_replay: end a replay that runs: it is over, or somebody wants no more of it. Published in the same step, once.

KEYS
  1  prefix of the bus
     Reads and writes below it: what add.lua does, replay:<id>, replays:running
ARGV
  1  now_ms    the caller's clock
  2  id        of the replay
  3  state     how it ends: completed, cancelled or failed
  4  error     why; empty: for no error
  5  step      msgpack: the event that tells of it
RETURNS
  the state it is in now, perhaps another one than was asked for; "unknown" when there is no such replay
]]
local prefix, id = KEYS[1], ARGV[2]
local now_ms = tonumber(ARGV[1])

-- include: carry_out

local replay = prefix .. ":replay:" .. id
local state = redis.call("HGET", replay, "state")
if not state then return "unknown" end
if state ~= "running" then return state end
local at_ms = string.format("%.0f", now_ms)
redis.call("HSET", replay, "state", ARGV[3], "ended_ms", at_ms, "updated_ms", at_ms)
if ARGV[4] ~= "" then redis.call("HSET", replay, "error", ARGV[4]) end
redis.call("SREM", prefix .. ":replays:running", id)
carry_out(cmsgpack.unpack(ARGV[5]))
keep_counts()
keep_entry_clock()
return ARGV[3]
