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
  1    now_ms          the caller's clock
  2    process         who held the entries
  3    retention_ms    how long the record of a finished event is kept
  4    plain           msgpack: {lane's key, {entries in order}} for each lane that has messages to give up with nothing
                       left behind
  ...  attempts        msgpack: {lane's key, entry, ending, steps to carry out, is suspect}
                       endings: {"done"}
                                {"dispatched", event id, version, lane, envelope, targets}
                                {"ended", event id, number, line, is first}
                                {"retry", event id or false, number, line, is first, step}
                                {"dead", event id or false, number, line, is first, letter id, facts}
                                {"waiting", subscription, fields}
RETURNS
  first, for each lane of `plain`, the entries that the process held no more;
  then for each attempt "ok"; "lost" when the process held the entry no more; "stale" when the subscriptions changed after
  the targets were computed: nothing was done then, resolve again
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

local function end_attempt(attempt)
  local stream, entry, ending, steps, is_suspect = attempt[1], attempt[2], attempt[3], attempt[4], attempt[5]
  if not owns(stream, entry, process) then return "lost" end
  if ending[1] == "dispatched" and ending[3] ~= version then return "stale" end

  redis.call("XACK", stream, "workers", entry)
  if ending[1] ~= "dispatched" then redis.call("XDEL", stream, entry) end
  if is_suspect then redis.call("HDEL", prefix .. ":crashes", stream .. "|" .. entry) end
  endings[ending[1]](ending)
  for _, step in ipairs(steps) do carry_out(step) end
  return "ok"
end

-- All plain messages of a lane at once, since they are most of what ends.
local function give_up(stream, entries)
  local held, given_up, lost = held_of(stream, entries, process), {}, {}
  for _, entry in ipairs(entries) do
    local list = held[entry] and given_up or lost
    list[#list + 1] = entry
  end
  if #given_up > 0 then
    redis.call("XACK", stream, "workers", unpack(given_up))
    redis.call("XDEL", stream, unpack(given_up))
  end
  return lost
end

local lost_by_lane = {}
for _, lane in ipairs(cmsgpack.unpack(ARGV[4])) do
  lost_by_lane[#lost_by_lane + 1] = give_up(lane[1], lane[2])
end

local results = { lost_by_lane }
for at = 5, #ARGV do
  results[#results + 1] = end_attempt(cmsgpack.unpack(ARGV[at]))
end
keep_counts()
keep_entry_clock()
return results
