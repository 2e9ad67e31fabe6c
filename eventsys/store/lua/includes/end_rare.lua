--[[
end_rare: end what is neither a delivery that succeeded and published nothing, nor an event that is dispatched in a row with
others: retries, dead letters, what waits, what published something, what cannot end as it should.

Uses: prefix, now_ms, next_entry, count, finish_event, end_delivery, dispatch_event, lanes, mark, except, is_lost,
problem_of, with_gates
]]
-- include: carry_out
-- include: bury

-- Each returns whether the entry stays: what is dispatched is history.
local endings = {
  done = function() end,
  dispatched = function(ending, entry)
    local stored_ms = string.match(entry, "^%d+")
    local entries, stays = dispatch_event(ending[2], ending[4], ending[5], ending[6], ending[7], stored_ms, ending[8])
    if entries then count_opened(ending[6], ending[7], 1) end
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
  dead = function(ending, entry)
    bury(ending[6], ending[7], ending[2], entry)
    if ending[2] then
      end_delivery(ending[2], ending[3], ending[4], ending[5], ending[8], ending[9], ending[10])
    end
  end,
  waiting = function(ending, entry) with_gates().turn_back(ending[2], ending[3], ending[4], ending[5], entry) end,
}

-- Redis takes back nothing that was written before an error, so an ending that fails must not take others with it: the
-- message is set aside for a person, and everything else goes on.
local function set_aside(lane, place, problem)
  local stream, entry = lane.stream, lane.entries[place]
  local facts = { "reason", "commit_failed", "error", problem }
  local found = redis.call("XRANGE", stream, entry, entry)[1]
  for at = 1, math.min(found and #found[2] or 0, 200) do facts[#facts + 1] = found[2][at] end
  facts[#facts + 1] = "owner"
  facts[#facts + 1] = "junk"
  bury(stream .. "|" .. entry, facts)
end

-- The delivery of what was set aside is dead, unless its end was written before the error came: its event must not stay
-- pending for ever.
local function end_set_aside(event_id, number, event_type, problem)
  local lines = redis.call("HGET", prefix .. ":event:" .. event_id, number)
  local letter = lines and last_line_letter(lines)
  if letter == "@" or letter == "f" or letter == "r" then
    local line = string.format("d%.0f,0,0,%s", now_ms, cjson.encode({ problem, "" }))
    end_delivery(event_id, number, line, false, event_type, -1, -1)
  end
end

local function refuse(lane, place, problem, event_id, number, event_type)
  problem = type(problem) == "table" and problem.err or tostring(problem)
  pcall(set_aside, lane, place, problem)
  if number then pcall(end_set_aside, event_id, number, event_type, problem) end
  except(lane, place, "refused")
end

local function carry_out_all(steps)
  for _, step in ipairs(steps) do carry_out(step) end
end

-- Nothing has succeeded whose steps cannot be carried out. A retry or a dead letter matters more than other steps do.
local function end_attempt(lane, place, ending, steps, subscription, verdict)
  local entry, is_success = lane.entries[place], ending[1] == "ended"
  if is_success then carry_out_all(steps) end
  if endings[ending[1]](ending, entry) then mark(lane, "stays", place) end
  if not is_success then carry_out_all(steps) end
  if subscription then with_gates().note_end(subscription, lane.stream .. "|" .. entry, verdict) end
end

local places_of_type = { ended = 6, retry = 7, dead = 8 }

local function end_other(other)
  local lane, place, ending = lanes[other[1]], other[2], other[3]
  if lane.kept and lane.kept[place] or is_lost(lane, place) then return end
  local is_fine, problem = false, problem_of(lane, place)
  if not problem then is_fine, problem = pcall(end_attempt, lane, unpack(other, 2)) end
  if is_fine then return end
  if ending[1] == "dispatched" then mark(lane, "stays", place) end
  local type_at = ending[2] and places_of_type[ending[1]]
  refuse(lane, place, problem, ending[2], type_at and ending[3], type_at and ending[type_at])
end

local function spoil(sharing, problem)
  is_any_apart = true
  for at = 1, #sharing, 2 do mark(lanes[sharing[at]], "spoiled", sharing[at + 1], problem) end
end

local function carry_out_shared(sharing, steps)
  for at = 1, #sharing, 2 do
    local lane, place = lanes[sharing[at]], sharing[at + 1]
    if not (lane.lost and lane.lost[place]) then
      local is_fine, problem = pcall(carry_out_all, steps)
      if not is_fine then spoil(sharing, problem) end
      return
    end
  end
end
