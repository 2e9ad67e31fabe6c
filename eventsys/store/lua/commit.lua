--[[
commit: end attempts, each in one atomic step.

An attempt ends once: its entry must still be pending, and is given up here. Together with that the outcome is
recorded, the retry scheduled or the dead letter buried, and everything the handler published goes out. Sent again
after a lost reply, the script finds the entries gone and changes nothing. A process whose lease was ended ends nothing:
what it held was taken over before anybody else could touch it.

KEYS
  1  prefix of the bus
     Reads and writes below it: what add.lua and admit_deliveries.lua do, and processes, crashes, status:<status>, history,
     dead, dead:<letter id>, letters:<owner>, subscriptions:renamed
ARGV
  1     now_ms          the caller's clock
  2     process         who held the entries
  3     retention_ms    how long the record of a finished event is kept
  4..   lanes           msgpack: {lane's key, {entry, ...}, {attempt, ...}}
                        the entries end with nothing but an acknowledgement
                        an attempt is {entry, ending, steps to carry out}, and behind these, where the subscription
                        has limits or a breaker, its name, and "s" succeeded, "f" failed, or "" for neither
                        endings: {"done"}
                                 {"dispatched", event id, version, lane, envelope, targets, type, ms of
                                 its expiry or false}
                                 {"ended", event id, number, line, is first, type, waited ms or -1, took µs}
                                 {"retry", event id or false, number, line, is first, step, type, waited ms, took µs}
                                 {"dead", event id or false, number, line, is first, letter id, facts, type, waited
                                  ms, took µs}
                                 {"waiting", subscription, lane, fields, is hosted}
RETURNS
  "ended" when the process's lease was; else for each attempt that did not end the number of its lane, its number in
  there, and why: "lost" when it had ended before; "refused" when its ending failed, and it is a dead letter now; "stale" when
  the subscriptions changed after the targets were computed: resolve again. Behind these the version of the subscriptions
]]
local prefix, process = KEYS[1], ARGV[2]
local now_ms, retention_ms = tonumber(ARGV[1]), tonumber(ARGV[3])

-- Redis admits this write at its memory limit, and with it all that follow: what drains the queues must go on.
redis.call("DEL", prefix .. ":scratch")

-- include: carry_out
-- include: finish_event
-- include: end_delivery

-- Few subscriptions have a state or limits. What looks after those is made when the first of them comes, because making
-- a function for each thing it does costs every commit.
local gated
local function with_gates()
  if gated then return gated end
-- include: gates
  gated = { offer = offer, turn_back = turn_back, note_end = note_end }
  return gated
end

local function offer(...) return with_gates().offer(...) end

-- include: dispatch_event
-- include: bury

local lease_end = redis.call("ZSCORE", prefix .. ":processes", process)
if not lease_end or tonumber(lease_end) == 0 then return { "ended" } end

local version = redis.call("GET", prefix .. ":subscriptions:version") or "0"

local endings = {
  done = function() end,
  dispatched = function(ending, entry)
    local stored_ms = string.match(entry, "^%d+")
    local _, stays = dispatch_event(ending[2], ending[4], ending[5], ending[6], ending[7], stored_ms, ending[8])
    return stays
  end,
  ended = function(ending)
    end_delivery(ending[2], ending[3], ending[4], ending[5], ending[6], ending[7], ending[8])
  end,
  retry = function(ending)
    if ending[2] then
      write_line(ending[2], ending[3], ending[4], ending[5], ending[7], ending[8], ending[9])
    end
    carry_out(ending[6])
  end,
  dead = function(ending)
    bury(ending[6], ending[7], ending[2])
    if ending[2] then
      end_delivery(ending[2], ending[3], ending[4], ending[5], ending[8], ending[9], ending[10])
    end
  end,
  waiting = function(ending) with_gates().turn_back(ending[2], ending[3], ending[4], ending[5]) end,
}

local has_crashes = redis.call("EXISTS", prefix .. ":crashes") == 1

local function clear_crashes(stream, entries)
  if not has_crashes then return end
  for _, entry in ipairs(entries) do redis.call("HDEL", prefix .. ":crashes", stream .. "|" .. entry) end
end

local exceptions = {}

-- Returns nil, or why the attempt did not end; and whether its entry stays: what is dispatched is history.
local function end_attempt(stream, entry, ending, steps, subscription, verdict)
  if ending[1] == "dispatched" and ending[3] ~= version then return "stale" end
  if redis.call("XACK", stream, "workers", entry) == 0 then return "lost" end
  clear_crashes(stream, { entry })
  local stays = endings[ending[1]](ending, entry)
  for _, step in ipairs(steps) do carry_out(step) end
  if subscription then with_gates().note_end(subscription, stream .. "|" .. entry, verdict) end
  return nil, stays
end

-- Redis takes back nothing that was written before an error, so an ending that fails must not take others with it: the
-- message is set aside for a person, and everything else goes on.
local function set_aside(stream, entry, problem)
  local facts = { "reason", "commit_failed", "error", problem }
  local found = redis.call("XRANGE", stream, entry, entry)[1]
  for at = 1, math.min(found and #found[2] or 0, 200) do facts[#facts + 1] = found[2][at] end
  facts[#facts + 1] = "owner"
  facts[#facts + 1] = "junk"
  bury(stream .. "|" .. entry, facts)
end

local places_of_type = { ended = 6, retry = 7, dead = 8 }

-- The delivery of what was set aside is dead, unless its end was written before the error came: its event must not stay
-- pending for ever.
local function end_set_aside(ending, problem)
  local place = ending[2] and places_of_type[ending[1]]
  local lines = place and redis.call("HGET", prefix .. ":event:" .. ending[2], ending[3])
  local letter = lines and last_line_letter(lines)
  if letter == "" or letter == "f" then
    local line = string.format("d%.0f,0,0,%s", now_ms, cjson.encode({ problem, "" }))
    end_delivery(ending[2], ending[3], line, false, ending[place], -1, -1)
  end
end

local function end_lane(number, stream, done, attempts)
  if #done > 0 then
    redis.call("XACK", stream, "workers", unpack(done))
    clear_crashes(stream, done)
  end
  local gone = done
  for at, attempt in ipairs(attempts) do
    local is_fine, why, stays = pcall(end_attempt, stream, unpack(attempt))
    if not is_fine then
      local problem = type(why) == "table" and why.err or tostring(why)
      pcall(set_aside, stream, attempt[1], problem)
      pcall(end_set_aside, attempt[2], problem)
      why = "refused"
      if attempt[2][1] ~= "dispatched" then gone[#gone + 1] = attempt[1] end
    end
    if why then
      exceptions[#exceptions + 1] = number
      exceptions[#exceptions + 1] = at
      exceptions[#exceptions + 1] = why
    elseif not stays then
      gone[#gone + 1] = attempt[1]
    end
  end
  if #gone > 0 then redis.call("XDEL", stream, unpack(gone)) end
end

for at = 4, #ARGV do
  local lane = cmsgpack.unpack(ARGV[at])
  end_lane(at - 3, lane[1], lane[2], lane[3])
end
keep_counts()
keep_entry_clock()
exceptions[#exceptions + 1] = redis.call("GET", prefix .. ":subscriptions:version") or "0"
return exceptions
