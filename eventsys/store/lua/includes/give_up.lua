--[[
give_up: give up the entries that a commit ends, and learn which of them had ended before.

A lane has `stream`, `entries`, and its `number`. `exceptions` is what the commit answers: the number of a lane, a place
among its entries and why that one did not end, of each in turn.

Uses: prefix, has_crashes, lone_problem
]]
-- A lane has `kept`, the places of entries that are not given up, `lost`, of those that had ended before, `spoiled`, of
-- those that cannot end as they should, with what is wrong, and `stays`, of those that remain in the stream; nil while
-- there are none.
local lanes, exceptions = {}, {}

-- Whether what succeeded has to be looked at one by one.
local is_any_apart = false

local function mark(lane, name, place, why)
  lane[name] = lane[name] or {}
  lane[name][place] = why or true
end

local function except(lane, place, why)
  local last = #exceptions
  exceptions[last + 1], exceptions[last + 2], exceptions[last + 3] = lane.number, place, why
end

local function note_stale(lane, place)
  mark(lane, "kept", place)
  mark(lane, "stays", place)
  except(lane, place, "stale")
end

local function entries_but(lane, places)
  if not places then return lane.entries end
  local entries = {}
  for place, entry in ipairs(lane.entries) do
    if not places[place] then entries[#entries + 1] = entry end
  end
  return entries
end

-- Whoever else gives up an entry deletes it in the same step, so of what had ended before there is no entry any more.
local function find_lost(lane, is_any_left)
  local seen = {}
  for place, entry in ipairs(lane.entries) do
    if not (lane.kept and lane.kept[place]) then
      local is_there = is_any_left and not seen[entry] and #redis.call("XRANGE", lane.stream, entry, entry) == 1
      seen[entry] = true
      if not is_there then
        mark(lane, "lost", place)
        mark(lane, "stays", place)
        is_any_apart = true
      end
    end
  end
end

local function give_up(lane)
  local entries = entries_but(lane, lane.kept)
  if #entries == 0 then return end
  local given_up = lone_problem and 1 or redis.pcall("XACK", lane.stream, "workers", unpack(entries))
  if given_up ~= #entries then find_lost(lane, type(given_up) == "number" and given_up > 0) end
  if has_crashes then
    local marks = {}
    for at, entry in ipairs(entries) do marks[at] = lane.stream .. "|" .. entry end
    redis.call("HDEL", prefix .. ":crashes", unpack(marks))
  end
end
