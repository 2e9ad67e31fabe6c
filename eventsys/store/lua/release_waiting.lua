--[[
release_waiting: put deliveries that could not run back on their queue, in the order they came.

KEYS
  1  prefix of the bus
     Reads and writes below it: clock, waiting:<subscription>, queue:<queue>:<lane>
ARGV
  1  now_ms         the caller's clock
  2  subscription   whose cause for waiting has ended
  3  queue          where it goes
  4  limit          most deliveries to move
RETURNS
  how many were moved
]]
local prefix = KEYS[1]
local now_ms = tonumber(ARGV[1])

redis.call("DEL", prefix .. ":scratch")

-- include: next_entry

local room = prefix .. ":waiting:" .. ARGV[2]
local entries = redis.call("XRANGE", room, "-", "+", "COUNT", tonumber(ARGV[4]))
for _, entry in ipairs(entries) do
  local lane, fields = "5", {}
  for at = 1, #entry[2], 2 do
    if entry[2][at] == "lane" then
      lane = entry[2][at + 1]
    else
      fields[#fields + 1] = entry[2][at]
      fields[#fields + 1] = entry[2][at + 1]
    end
  end
  redis.call("XADD", prefix .. ":queue:" .. ARGV[3] .. ":" .. lane, next_entry(), unpack(fields))
  redis.call("XDEL", room, entry[1])
end
keep_entry_clock()
return #entries
