--[[
redrive_letters: send dead letters to their subscription or their actor again, each in one step with its end as a letter.

The old delivery goes on: its attempts stay on record, its event is pending again, and its retries begin anew. Sent again
after a lost reply it finds the letters gone and does nothing. At the memory limit Redis refuses it as a whole.

KEYS
  1  prefix of the bus
     Reads and writes below it: what add.lua and admit_deliveries.lua do, dead, dead:<letter id>, letters:<owner>,
     subscriptions:names, subscriptions:numbers, subscriptions:renamed, event:<id>, pending, status:<status>
ARGV
  1    now_ms        the caller's clock
  2    cap           letters that were sent again so often stay; 0: none do
  3    due_ms        when the first one is due; 0: all go at once
  4    interval_ms   how much later each of the following is due
  5..  letters       letter id, died_ms as the caller read it, message to send in place of the one in the letter, or
                     empty; of each in turn
RETURNS
  for each letter redriven, gone, capped, junk, no_subscription or unfired
]]
local prefix = KEYS[1]
local now_ms, cap = tonumber(ARGV[1]), tonumber(ARGV[2])
local due_ms, interval_ms = tonumber(ARGV[3]), tonumber(ARGV[4])

-- include: count
-- include: forget_cancelled
-- include: add_delayed
-- include: carry_out
-- include: carry_out_entry
-- include: gates
-- include: drop_letter
-- include: last_line

local function replay_of(letter)
  return tonumber(string.match(letter.o or "", '"replay": ?(%d+)'))
end

-- The delivery of what could not be moved out of the delayed store, a retry or one that was redriven at a rate, has been
-- open all the time; so has one whose signature was refused before that, which had not begun.
local function newly_open(letter, lines)
  local last = last_line_letter(lines)
  local was_unbegun = last == "@" or (last == "" and replay_of(letter))
  return (last == "f" or last == "r" or (letter.reason == "unfired" and was_unbegun)) and 0 or 1
end

-- The event of a dead delivery becomes pending again; where its record has gone, it is made anew from the letter.
local function reopen(letter, header, number)
  local record = prefix .. ":event:" .. header.id
  local opened, status, place = unpack(redis.call("HMGET", record, "open", "status", "log"))
  place = place or letter.log
  local lines = redis.call("HGET", record, number) or ""
  redis.call("HSET", record, "trouble", "1", "open", tonumber(opened or "0") + newly_open(letter, lines))
  redis.call("HSET", record, number, lines .. (lines == "" and "" or "\n") .. string.format("r%.0f,0,0", now_ms))
  if not opened and place then redis.call("HSETNX", record, "log", place) end
  local home, entry = string.match(place or "", "^(%w+):(.+)$")
  if not home or #redis.call("XRANGE", prefix .. ":log:" .. home, entry, entry) == 0 then
    redis.call("HSETNX", record, "envelope", letter.e)
  end
  count_delivery(header.type, number, "r")
  if opened and not status and tonumber(opened) > 0 then return end
  redis.call("HDEL", record, "status")
  redis.call("ZREM", prefix .. ":status:" .. (status or "failed"), header.id)
  redis.call("PERSIST", record)
  redis.call("ZADD", prefix .. ":pending", string.match(entry or "", "^(%d+)") or now_ms, header.id)
  count_event(header.type, "reopened")
end

-- A delivery of history again has no say in what its event has come to.
local function reopen_replayed(letter, header, field, number)
  local record = prefix .. ":event:" .. header.id
  local lines = redis.call("HGET", record, field)
  -- Its end is counted whether or not its record is there, so this is too.
  count_delivery(header.type, number, "r")
  if not lines then return end
  redis.call("HSET", record, field, lines .. string.format("\nr%.0f,0,0", now_ms))
  redis.call("HINCRBY", record, "replays", newly_open(letter, lines))
  redis.call("PERSIST", record)
end

-- What a delivery waits under in the delayed store, so that whoever looks for its message finds it there.
local function waiting_id(event_id, name, replay)
  return event_id .. ":" .. name .. (replay and "#" .. replay or "")
end

local function go_later(id, queue, lane, fields)
  local step = { "message", queue, tonumber(lane), fields }
  add_delayed({ "delayed", id, due_ms, tonumber(lane), queue, { id, queue, step, { created_ms = now_ms } } })
  due_ms = due_ms + interval_ms
end

-- How often a letter has been sent again, this time included.
local function redrives_of(letter)
  return (tonumber(letter.redrives or "0") or 0) + 1
end

local function redrive_delivery(letter)
  local name = letter_subscription(letter.s, letter.number)
  local gate = gate_of(name)
  local read, header = pcall(cjson.decode, letter.e or "")
  if not read then return "junk" end
  if not gate then return "no_subscription" end
  local replay = replay_of(letter)
  local options = cjson.encode({
    retries = 0, redrives = redrives_of(letter), before = tonumber(letter.attempts or "0") or 0, replay = replay,
  })
  local number = redis.call("HGET", prefix .. ":subscriptions:numbers", name)
  if replay then
    reopen_replayed(letter, header, number .. "#" .. replay, number)
  else
    reopen(letter, header, number)
  end
  local fields = { "s", name, "e", letter.e, "o", options }
  if due_ms > 0 then
    go_later(waiting_id(header.id, name, replay), gate.queue, letter.lane, fields)
  else
    offer(name, letter.lane, fields)
  end
  return "redriven"
end

local function redrive_message(letter_id, letter, message)
  local fields = { "m", message ~= "" and message or letter.m }
  if due_ms > 0 then
    go_later(letter_id, letter.queue, letter.lane, fields)
  else
    add_message({ "message", letter.queue, letter.lane, fields })
  end
  count("messages_redriven", 1)
  return "redriven"
end

-- Who forged a delivery may have said that it is one which waits by itself: then it takes nothing of its place.
local function forged_id(letter_id, letter)
  local read, header = pcall(cjson.decode, letter.e or "")
  if not letter.s or not read or type(header) ~= "table" or type(header.id) ~= "string" then return letter_id end
  local id = waiting_id(header.id, letter.s, replay_of(letter))
  return redis.call("HEXISTS", delayed_bucket("ids", id), id) == 1 and letter_id or id
end

-- What was refused for its signature goes where it was, to be judged anew: its delivery has been open all the time. How
-- often it was sent again goes with it beside what is signed, since it is the same letter's if it is refused once more.
local function redrive_forged(letter_id, letter)
  local fields = {}
  for _, name in ipairs({ letter.m and "m" or "s", "e", "o", "t" }) do
    if letter[name] then
      fields[#fields + 1] = name
      fields[#fields + 1] = letter[name]
    end
  end
  if not (letter.m or letter.s) or not letter.queue then return "junk" end
  for _, part in ipairs({ "redrives", tostring(redrives_of(letter)) }) do fields[#fields + 1] = part end
  if due_ms > 0 then
    go_later(forged_id(letter_id, letter), letter.queue, letter.lane, fields)
  else
    add_message({ "message", letter.queue, letter.lane, fields })
  end
  return "redriven"
end

-- An event that could not be let go is stored as it should have been, and was in no log before. It is not too late, however
-- long its letter was kept. Where Redis still refuses it the letter stays, and says why.
local function redrive_unfired(letter_id, letter)
  local is_read, step = pcall(cjson.decode, letter.step)
  local is_known, facts = pcall(cjson.decode, letter.facts or "")
  if not (is_read and is_known and letter.e) or type(step) ~= "table" or type(facts) ~= "table" then return "junk" end
  step[5], step[9], facts.redrives = letter.e, 0, redrives_of(letter)
  if due_ms > 0 then
    add_delayed({ "delayed", step[2], due_ms, step[4], "", { step[2], "", step, facts } })
    due_ms = due_ms + interval_ms
    return "redriven"
  end
  local is_fine, problem = pcall(carry_out_entry, step, facts, tonumber(letter.due_ms))
  if is_fine then return "redriven" end
  redis.call("HSET", prefix .. ":dead:" .. letter_id, "error", type(problem) == "table" and problem.err or tostring(problem))
  return "unfired"
end

local function redrive(letter_id, died_ms, message)
  local flat, letter = redis.call("HGETALL", prefix .. ":dead:" .. letter_id), {}
  for at = 1, #flat, 2 do letter[flat[at]] = flat[at + 1] end
  if letter.died_ms ~= died_ms then return "gone" end
  if letter.reason == "undecodable" or letter.reason == "commit_failed" then return "junk" end
  if cap > 0 and redrives_of(letter) > cap then return "capped" end
  local outcome = "junk"
  if letter.reason == "bad_signature" then
    outcome = redrive_forged(letter_id, letter)
  elseif letter.s then
    outcome = redrive_delivery(letter)
  elseif letter.m then
    outcome = redrive_message(letter_id, letter, message)
  elseif letter.step then
    outcome = redrive_unfired(letter_id, letter)
  end
  if outcome == "redriven" then drop_letter(letter_id, letter.owner, letter.number) end
  return outcome
end

local outcomes = {}
for at = 5, #ARGV, 3 do outcomes[#outcomes + 1] = redrive(ARGV[at], ARGV[at + 1], ARGV[at + 2]) end
keep_counts()
keep_entry_clock()
return outcomes
