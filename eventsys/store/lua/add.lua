--[[
add: take in what is published, queued or scheduled.

Each step is carried out once: the same event, or the same delayed entry, sent again after a lost reply is recognised
by its id. The steps of one call are taken in together or, when Redis is out of memory, not at all.

KEYS
  1  prefix of the bus
     Reads and writes below it: clock, counts, metrics:<...>, log:<lane>, type:<type>, event:<id>, pending, once:<key>,
     queue:<queue>:<lane>, delayed:due, delayed:bodies, delayed:ids:<bucket>, delayed:queues, delayed:sequence,
     periodic:ticks, periodic:last, periodic:specs
ARGV
  1    now_ms    the caller's clock
  2..  steps     msgpack, as includes/carry_out describes them
RETURNS
  for each step what came of it: {"stored", id}, {"duplicate", id, envelope}, {"queued", entry}, {"delayed", id},
  {"exists", id} or {"taken", actor}
]]
local prefix = KEYS[1]
local now_ms = tonumber(ARGV[1])

-- include: carry_out

local results = {}
for at = 2, #ARGV do
  results[#results + 1] = carry_out(cmsgpack.unpack(ARGV[at]))
end
keep_counts()
keep_entry_clock()
return results
