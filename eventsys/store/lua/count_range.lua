--[[
count_range: count what lies between two places, in several streams of the history at once.

It looks at two entries a stream, whatever lies between them: entries carry their numbers.

KEYS
  1  prefix of the bus
     Reads below it: the streams given
ARGV
  1..  ranges   threes: the stream's name below the prefix, the first entry, the last entry, as XRANGE takes them
RETURNS
  for each range how many entries it holds
]]
local prefix = KEYS[1]

-- An entry without a number is no history: one that still waits for the dispatcher beside its place in another log.
local function number_at(command, stream, from, to)
  local size = 1
  while true do
    local found = redis.call(command, stream, from, to, "COUNT", size)
    for _, entry in ipairs(found) do
      if entry[2][3] == "n" then return tonumber(entry[2][4]) end
    end
    if #found < size then return nil end
    from, size = "(" .. found[#found][1], 100
  end
end

local counts = {}
for at = 1, #ARGV, 3 do
  local stream, from, to = prefix .. ":" .. ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local first = number_at("XRANGE", stream, from, to)
  local last = first and number_at("XREVRANGE", stream, to, from)
  counts[#counts + 1] = first and last - first + 1 or 0
end
return counts
