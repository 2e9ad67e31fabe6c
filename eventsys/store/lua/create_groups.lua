--[[
create_groups: give every lane of a queue its consumer group, where it has none.

A script, because Redis refuses the bare command at its memory limit, and what drains the queues must go on.

KEYS
  1  prefix of the bus
     Reads and writes below it: the lanes given
ARGV
  ...  lanes    their keys
RETURNS
  how many lanes there are
]]
redis.call("DEL", KEYS[1] .. ":scratch")
for _, stream in ipairs(ARGV) do
  local made = redis.pcall("XGROUP", "CREATE", stream, "workers", "0", "MKSTREAM")
  if made.err and not string.find(made.err, "BUSYGROUP") then return made end
end
return #ARGV
