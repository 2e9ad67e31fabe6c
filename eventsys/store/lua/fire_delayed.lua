--[[
fire_delayed: let delayed events go now, before their time.

Of each exactly one side wins: either the poller let it go before, or it goes here. One that cannot be moved stays, and
holds up no other.

KEYS
  1  prefix of the bus
     Reads and writes below it: what add.lua does
ARGV
  1    now_ms  the caller's clock, which is when they were due from now on
  2..  ids     of delayed events
RETURNS
  for each: {"fired now", now ms, body}; {"fired"} when it was published already; {"unknown"} when there is none;
  {"refused", why} when it cannot be moved
]]
local prefix = KEYS[1]
local now_ms = tonumber(ARGV[1])

-- include: count
-- include: forget_cancelled
-- include: add_delayed
-- include: carry_out
-- include: fire_entry

local function fire(id)
  local member, _, entry, due, bodies = find_delayed(id)
  if not member or entry[3][1] ~= "event" then
    return { redis.call("HEXISTS", prefix .. ":event:" .. id, "log") == 1 and "fired" or "unknown" }
  end
  local body = redis.call("HGET", bodies, member)
  local is_fine, problem = pcall(fire_entry, member, body, now_ms, due, bodies)
  if not is_fine then return { "refused", type(problem) == "table" and problem.err or tostring(problem) } end
  return { "fired now", ARGV[1], body }
end

local outcomes = {}
for at = 2, #ARGV do outcomes[#outcomes + 1] = fire(ARGV[at]) end
keep_counts()
keep_entry_clock()
return outcomes
