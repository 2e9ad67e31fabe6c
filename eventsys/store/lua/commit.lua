--[[
commit: end attempts, each in one atomic step.

An attempt ends once: its entry must still be pending, and is given up here. Together with that the outcome is
recorded, the retry scheduled or the dead letter buried, and everything the handler published goes out. Sent again
after a lost reply, the script finds the entries gone and changes nothing. A process whose lease was ended ends nothing:
what it held was taken over before anybody else could touch it.

KEYS
  1  prefix of the bus
     Reads and writes below it: what add.lua and admit_deliveries.lua do, and processes, crashes, status:<status>, history,
     dead, dead:<letter id>, letters:<owner>, subscriptions:names, subscriptions:numbers,
     subscriptions:renamed, subscriptions:ended
ARGV
  1    now_ms          the caller's clock
  2    process         who held the entries
  3    retention_ms    how long the record of a finished event is kept
  4    lanes           msgpack: key, {entry, ...} of each in turn. All others say where theirs stands: the number of a lane in
                       here, and a place among its entries. What they do not speak of ends with nothing but an
                       acknowledgement
  5    succeeded       msgpack, or empty: deliveries that succeeded and published nothing: event id, type, and how many of the event
                       follow; of each number, line, is first
  6    details         msgpack, or empty: of each of them lane, place, waited ms or -1, took µs
  7    measures        msgpack, or empty: records of what they come to, ready for the journal, as includes/measure.lua has them: a
                       list of lists, each packed by itself
  8    dispatched      msgpack, or empty: events: lane, place, event id, route, the event's own lane, ms of its expiry or
                       false. Their envelopes are the last arguments, each as it is: within the msgpack they would be made
                       text twice, which takes Lua longer than all the rest of it
  9    routes          msgpack, or empty: {version, type, targets} for each that these name by its number, and behind these, where
                       deliveries are to be the process's with this step, {key of a lane, how many at most, ...}. Events of all
                       types that go to the same targets have one route; the type matters where there are none
  10   types           msgpack, or empty: the type of each of these events
  11   opened          msgpack, or empty: records of all their deliveries, as `measures` has them
  12.. others          msgpack, and then those envelopes: {lane, place, ending, steps to carry out}, and behind these, where the subscription has limits or a
                       breaker, its name, and "s" succeeded, "f" failed, or "" for neither
                       endings: {"done"}
                                {"dispatched", event id, version, lane, envelope, targets, type, ms of
                                its expiry or false}
                                {"ended", event id, number, line, is first, type, waited ms or -1, took µs}
                                {"retry", event id or false, number, line, is first, step, type, waited ms, took µs}
                                {"dead", event id or false, number, line, is first, letter id, facts, type, waited
                                 ms, took µs}
                                {"waiting", subscription, lane, fields, is hosted}
                       or, instead of an ending, {"shared", {lane, place, ...}}: what these published together, which goes out
                       if any of them ends now, and before them: where it cannot, all of them are refused
RETURNS
  "ended" when the process's lease was; else for each attempt that did not end its lane, its place, and why: "lost" when it had
  ended before; "refused" when its ending failed, and it is a dead letter now; "stale" when the subscriptions changed after the
  targets were computed: resolve again. Behind these, where lanes were named, {lane, {entry, ...}} as XREADGROUP has them; and
  last the version of the subscriptions
]]
local prefix, process = KEYS[1], ARGV[2]
local now_ms, retention_ms = tonumber(ARGV[1]), tonumber(ARGV[3])

local lease_end = redis.call("ZSCORE", prefix .. ":processes", process)
if not lease_end or tonumber(lease_end) == 0 then return { "ended" } end

local has_crashes = redis.call("EXISTS", prefix .. ":crashes") == 1

-- include: next_entry
local version, last_entry = unpack(redis.call("MGET", prefix .. ":subscriptions:version", entry_clock))
version = version or "0"
begin_entries(last_entry)

-- include: fetch_wanted
-- include: lone_dispatch

if ARGV[5] == "" and ARGV[8] ~= "" and #ARGV == 12 and not has_crashes then
  local given, dispatched, routes = cmsgpack.unpack(ARGV[4]), cmsgpack.unpack(ARGV[8]), cmsgpack.unpack(ARGV[9])
  local answer = dispatch_lone_event(given, dispatched, routes[1], ARGV[11], ARGV[12])
  if answer then return answer end
end

-- Redis admits this write at its memory limit, and with it all that follow: what drains the queues must go on. Where it takes
-- no writes, having become a replica, say, this ends the script; the errors of what follows are looked at, or do not matter.
redis.call("DEL", prefix .. ":scratch")

-- include: delete_entries

-- Plain messages need nothing of what follows, whose functions cost more than a message does.
if ARGV[5] == "" and ARGV[8] == "" and #ARGV == 11 and not has_crashes then
  local given = cmsgpack.unpack(ARGV[4])
  for at = 1, #given, 2 do
    redis.pcall("XACK", given[at], "workers", unpack(given[at + 1]))
    pcall(delete_entries, given[at], given[at + 1])
  end
  return { version }
end

-- A function of its own, because the functions made in it take hold of what stands above without a search; among the
-- locals of one level Lua looks for each that they use, one after the other, from the newest.
local function end_attempts()
-- include: count
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

local function unpacked(argument)
  return argument == "" and {} or cmsgpack.unpack(argument)
end

-- include: give_up

local function is_lost(lane, place)
  if not (lane.lost and lane.lost[place]) then return false end
  except(lane, place, "lost")
  return true
end

local function problem_of(lane, place)
  return lane.spoiled and lane.spoiled[place]
end

-- Nearly all that ends is a delivery that succeeded, or an event that is dispatched. What looks after all else is made
-- when the first of it comes, too.
local rare
local function with_rare()
  if rare then return rare end
-- include: end_rare
  rare = { refuse = refuse, end_other = end_other, carry_out_shared = carry_out_shared }
  return rare
end

local function refuse(...) with_rare().refuse(...) end

-- What tells of each delivery by itself is needed only where one was lost, or something failed.
local details

local function detail(row)
  details = details or cmsgpack.unpack(ARGV[6])
  return lanes[details[4 * row - 3]], details[4 * row - 2], details[4 * row - 1], details[4 * row]
end

-- Where entries were lost or spoiled, returns a list without what was to end with them, and counts what is left.
local function not_apart(event_id, event_type, succeeded, first, last, row)
  local left, rows = {}, {}
  for at = first, last, 3 do
    local lane, place, waited_ms, took_us = detail(row)
    local was_lost, problem = is_lost(lane, place), problem_of(lane, place)
    if problem and not was_lost then
      refuse(lane, place, problem, event_id, succeeded[at], event_type)
    elseif not was_lost then
      for part = at, at + 2 do left[#left + 1] = succeeded[part] end
      rows[#rows + 1] = row
      count_delivery(event_type, succeeded[at], "s", waited_ms, took_us)
    end
    row = row + 1
  end
  return left, rows
end

local function end_event(event_id, event_type, succeeded, first, last, row_of)
  local is_fine, record, has_trouble = pcall(write_ends, event_id, succeeded, first, last, 3)
  if not is_fine then
    for at = first, last, 3 do
      local lane, place = detail(row_of((at - first) / 3))
      refuse(lane, place, record, event_id, succeeded[at], event_type)
    end
  elseif record then
    local is_finished, problem = pcall(finish_event, event_id, record, has_trouble, event_type)
    if not is_finished then
      local lane, place = detail(row_of((last - 2 - first) / 3))
      refuse(lane, place, problem)
    end
  end
end

-- Returns how many there were.
local function end_deliveries(succeeded)
  local at, all, row = 1, #succeeded, 1
  local function row_of(place) return row + place end
  while at < all do
    local event_id, event_type, many = succeeded[at], succeeded[at + 1], succeeded[at + 2]
    local first, last = at + 3, at + 2 + 3 * many
    if is_any_apart then
      local left, rows = not_apart(event_id, event_type, succeeded, first, last, row)
      local function row_of_left(place) return rows[place + 1] end
      if #left > 0 then end_event(event_id, event_type, left, 1, #left, row_of_left) end
    else
      end_event(event_id, event_type, succeeded, first, last, row_of)
    end
    at, row = last + 1, row + many
  end
  return row - 1
end

local width = 6

-- What went to its targets is counted from what was made ready, where nothing went otherwise.
local function count_dispatched(dispatched, routes, gone)
  if #gone < #dispatched / width then
    local types = cmsgpack.unpack(ARGV[10])
    for _, place in ipairs(gone) do count_opened(routes[dispatched[place * width - 2]][3], types[place], 1) end
    return
  end
  local many = 0
  for at = 4, #dispatched, width do many = many + #routes[dispatched[at]][3] / 4 end
  count_ready("deliveries", many, unpacked(ARGV[11]))
end

local function dispatch_events(dispatched, routes, envelopes_at)
  local gone = {}
  for at = 1, #dispatched, width do
    local lane_number, place, event_id, number, own_lane, expires_ms = unpack(dispatched, at, at + width - 1)
    local lane, route, which = lanes[lane_number], routes[number], (at + width - 1) / width
    if route[1] == version and not is_lost(lane, place) then
      local stored_ms, is_fine, entries, stays = string.match(lane.entries[place], "^%d+"), false, lone_problem, true
      if not lone_problem then
        local envelope = ARGV[envelopes_at + which - 1]
        is_fine, entries, stays =
          pcall(dispatch_event, event_id, own_lane, envelope, route[3], route[2], stored_ms, expires_ms)
      end
      if not is_fine then refuse(lane, place, entries) end
      if is_fine and entries then gone[#gone + 1] = which end
      if stays or not is_fine then mark(lane, "stays", place) end
    end
  end
  if #gone > 0 then count_dispatched(dispatched, routes, gone) end
end

local given = cmsgpack.unpack(ARGV[4])
for at = 1, #given, 2 do
  local number = (at + 1) / 2
  lanes[number] = { number = number, stream = given[at], entries = given[at + 1] }
end
local dispatched, routes, others = unpacked(ARGV[8]), unpacked(ARGV[9]), {}
local envelopes_at = #ARGV + 1 - #dispatched / width
for at = 12, envelopes_at - 1 do others[at - 11] = cmsgpack.unpack(ARGV[at]) end

for at = 1, #dispatched, width do
  if routes[dispatched[at + 3]][1] ~= version then note_stale(lanes[dispatched[at]], dispatched[at + 1]) end
end
for _, other in ipairs(others) do
  if other[3][1] == "dispatched" and other[3][3] ~= version then note_stale(lanes[other[1]], other[2]) end
end

for _, lane in ipairs(lanes) do give_up(lane) end
for _, other in ipairs(others) do
  if other[3][1] == "shared" then with_rare().carry_out_shared(other[3][2], other[4]) end
end
for _, other in ipairs(others) do
  if other[3][1] ~= "shared" then with_rare().end_other(other) end
end
local ended = end_deliveries(unpacked(ARGV[5]))
if not is_any_apart and ended > 0 then count_ready("deliveries_succeeded", ended, unpacked(ARGV[7])) end
dispatch_events(dispatched, routes, envelopes_at)
for _, lane in ipairs(lanes) do
  local gone = entries_but(lane, lane.stays)
  if #gone > 0 then delete_entries(lane.stream, gone) end
end
keep_counts()
keep_entry_clock()
if routes[1] and routes[1][4] then exceptions[#exceptions + 1] = fetch_wanted(routes[1][4]) end
exceptions[#exceptions + 1] = redis.call("GET", prefix .. ":subscriptions:version") or "0"
return exceptions
end

return end_attempts()
