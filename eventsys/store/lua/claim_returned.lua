--[[
claim_returned: take what other processes handed back, and say what of it had begun there.

KEYS
  1  prefix of the bus
     Reads and writes below it: the lanes given
ARGV
  1    process   who takes them
  2    limit     most entries to take, over all lanes
  3..  lanes     their keys, most urgent first
RETURNS
  for each lane that had some {lane's key, entries, names of those that had begun}, an entry as XREADGROUP returns it
]]
local process, left = ARGV[1], tonumber(ARGV[2])

redis.call("DEL", KEYS[1] .. ":scratch")

local taken = {}
for at = 3, #ARGV do
  local held = left > 0 and redis.pcall("XPENDING", ARGV[at], "workers", "-", "+", left, "returned") or {}
  if not held.err and #held > 0 then
    local ids, begun = {}, {}
    for _, entry in ipairs(held) do
      ids[#ids + 1] = entry[1]
      if entry[4] > 0 then begun[#begun + 1] = entry[1] end
    end
    local entries = {}
    for _, entry in ipairs(redis.call("XCLAIM", ARGV[at], "workers", process, 0, unpack(ids))) do
      if entry and entry[2] then entries[#entries + 1] = entry end
    end
    if #entries < #ids then
      local alive = {}
      for _, entry in ipairs(entries) do alive[entry[1]] = true end
      for _, id in ipairs(ids) do
        if not alive[id] then redis.call("XACK", ARGV[at], "workers", id) end
      end
    end
    left = left - #entries
    taken[#taken + 1] = { ARGV[at], entries, begun }
  end
end
return taken
