--[[
commit: end attempts, each in one atomic step.

An attempt ends once: the process must still hold its entry, and gives it up here. Together with that the outcome is
recorded, the retry scheduled or the dead letter buried, and everything the handler published goes out. Sent again
after a lost reply, the script finds the entries gone and changes nothing.

KEYS
  1  prefix of the bus
     Reads and writes below it: what add.lua does, and crashes, subscriptions:version, status:<status>, dead,
     dead:<letter id>, waiting:<subscription>
ARGV
  1     now_ms          the caller's clock
  2     process         who held the entries
  3     retention_ms    how long the record of a finished event is kept
  4..   lanes           msgpack: {lane's key, first entry, last entry, {attempt, ...}}
                        an attempt is its entry, when it ends with nothing but an acknowledgement, else
                        {entry, ending, steps to carry out, is suspect}
                        endings: {"done"}
                                 {"dispatched", event id, version, lane, envelope, targets}
                                 {"ended", event id, number, line, is first}
                                 {"retry", event id or false, number, line, is first, step}
                                 {"dead", event id or false, number, line, is first, letter id, facts}
                                 {"waiting", subscription, fields}
RETURNS
  for each attempt that did not end: number of its lane, its number in there, and why: "lost" when the process held the
  entry no more; "stale" when the subscriptions changed after the targets were computed: resolve again
]]
local prefix, process = KEYS[1], ARGV[2]
local now_ms, retention_ms = tonumber(ARGV[1]), tonumber(ARGV[3])

-- Redis admits this write at its memory limit, and with it all that follow: what drains the queues must go on.
redis.call("DEL", prefix .. ":scratch")

-- include: carry_out
-- include: own
-- include: finish_event
-- include: end_delivery
-- include: dispatch_event
-- include: bury

local version = redis.call("GET", prefix .. ":subscriptions:version") or "0"

local endings = {
  done = function() end,
  dispatched = function(ending)
    dispatch_event(ending[2], ending[4], ending[5], ending[6])
  end,
  ended = function(ending)
    end_delivery(ending[2], ending[3], ending[4], ending[5])
  end,
  retry = function(ending)
    if ending[2] then write_line(ending[2], ending[3], ending[4], ending[5]) end
    carry_out(ending[6])
  end,
  dead = function(ending)
    bury(ending[6], ending[7])
    if ending[2] then end_delivery(ending[2], ending[3], ending[4], ending[5]) end
  end,
  waiting = function(ending)
    redis.call("XADD", prefix .. ":waiting:" .. ending[2], next_entry(), unpack(ending[3]))
  end,
}

-- Returns the entry, and whether it leaves the lane: an event stays in the log, a message is gone.
local function end_attempt(stream, attempt)
  if type(attempt) == "string" then return attempt, true end
  local entry, ending = attempt[1], attempt[2]
  if attempt[4] then redis.call("HDEL", prefix .. ":crashes", stream .. "|" .. entry) end
  endings[ending[1]](ending)
  for _, step in ipairs(attempt[3]) do carry_out(step) end
  return entry, ending[1] ~= "dispatched"
end

local function why_not(attempt, held)
  local entry = type(attempt) == "string" and attempt or attempt[1]
  if not held[entry] then return "lost" end
  local ending = type(attempt) == "table" and attempt[2]
  if ending and ending[1] == "dispatched" and ending[3] ~= version then return "stale" end
end

local exceptions = {}

local function end_lane(number, stream, first, last, attempts)
  local held = held_entries(stream, first, last, attempts, process)
  local over, gone = {}, {}
  for at, attempt in ipairs(attempts) do
    local why = why_not(attempt, held)
    if why then
      exceptions[#exceptions + 1] = number
      exceptions[#exceptions + 1] = at
      exceptions[#exceptions + 1] = why
    else
      local entry, leaves = end_attempt(stream, attempt)
      over[#over + 1] = entry
      if leaves then gone[#gone + 1] = entry end
    end
  end
  if #over > 0 then redis.call("XACK", stream, "workers", unpack(over)) end
  if #gone > 0 then redis.call("XDEL", stream, unpack(gone)) end
end

for at = 4, #ARGV do
  local lane = cmsgpack.unpack(ARGV[at])
  end_lane(at - 3, lane[1], lane[2], lane[3], lane[4])
end
keep_counts()
keep_entry_clock()
return exceptions
