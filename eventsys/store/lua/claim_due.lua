--[[
claim_due: let the entries of the delayed store go whose time has come, and the deliveries that a rate let wait.

An entry leaves the store and enters its lane in one step, so two pollers at once take different ones, and a crash in
between loses none. What is due and still in the far tier, because no sweep promoted it, is promoted first; so entries
leave in their order whatever sweeps did. An entry that cannot be moved does not hold up the others: it is tried again
later, and is a dead letter when it was tried often enough.

KEYS
  1  prefix of the bus
     Reads and writes below it: what add.lua and admit_deliveries.lua do, dead, dead:<letter id>, letters:<owner>,
     subscriptions:names, subscriptions:numbers
ARGV
  1  now_ms             the caller's clock; nothing leaves before it
  2  limit              most entries to let go
  3  max_retries        how often one that cannot be moved is tried again
  4  retry_interval_ms  how long it waits before
RETURNS
  {how many went or were put off, due time of the next one in ms or -1 when none waits}
]]
local prefix = KEYS[1]
local now_ms, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local max_retries, retry_interval_ms = tonumber(ARGV[3]), tonumber(ARGV[4])

redis.call("DEL", prefix .. ":scratch")

-- include: count
-- include: forget_cancelled
-- include: add_delayed
-- include: carry_out
-- include: gates
-- include: bury
-- include: fire_entry
-- include: promote_delayed

local function head_of(tier)
  local head = redis.call("ZRANGE", tier, 0, 0, "WITHSCORES")
  return head[2] and tonumber(head[2])
end

-- Tries so far, and when the entry was due before the first of them.
local function tries_of(member, due_ms)
  local noted = may_have_failed() and redis.call("HGET", failed_key, member)
  if not noted then return 0, due_ms end
  local tries, first_ms = string.match(noted, "^(%d+) (%d+)$")
  return tonumber(tries), tonumber(first_ms)
end

-- What a letter says of a message, so that it can be sent again. Where it belongs to nobody that can be told, it is junk.
local function add_message_facts(facts, step)
  local said = { owner = "junk", queue = step[2], lane = step[3] }
  for at = 1, #(step[4] or {}), 2 do said[step[4][at]] = step[4][at + 1] end
  local is_read, header = pcall(cjson.decode, said.e or said.m or "")
  if is_read and said.s then
    said.owner, said.actor, said.type = "subscription:" .. said.s, said.s, header.type
  elseif is_read and said.m then
    said.owner, said.actor = "actor:" .. tostring(header.actor_name), header.actor_name
  end
  local owner = said.owner
  said.owner = nil
  for name, value in pairs(said) do facts[#facts + 1], facts[#facts + 2] = name, value end
  facts[#facts + 1], facts[#facts + 2] = "owner", owner
end

local function append(facts, parts)
  for _, part in ipairs(parts) do facts[#facts + 1] = part end
end

-- What a letter says of an event, which is stored nowhere else: the event, and besides it what a redrive needs to do what
-- should have been done.
local function add_event_facts(facts, entry, due_ms)
  local step, known = entry[3], entry[4]
  append(facts, { "e", step[5], "type", step[3], "lane", step[4], "due_ms", string.format("%.0f", due_ms) })
  step[5] = ""
  append(facts, { "step", cjson.encode(step), "facts", cjson.encode(known) })
  if known.redrives then append(facts, { "redrives", known.redrives }) end
  append(facts, { "owner", "junk" })
end

local function give_up(member, body, due_ms, problem)
  local is_read, entry = pcall(unpack_entry, body)
  is_read = is_read and type(entry) == "table" and type(entry[3]) == "table"
  local facts = { "reason", is_read and "unfired" or "undecodable", "error", problem, "attempts", max_retries + 1 }
  local place = string.gsub(member, ".", function(c) return string.format("%02x", string.byte(c)) end)
  local letter_id = prefix .. ":delayed|" .. place
  if is_read then
    letter_id = entry[1]
    remove_delayed(entry, member, near_due, near_bodies)
    if entry[3][1] == "event" then
      add_event_facts(facts, entry, due_ms)
    else
      add_message_facts(facts, entry[3])
    end
  else
    redis.call("ZREM", near_due, member)
    redis.call("HDEL", near_bodies, member)
    redis.call("SREM", prefix .. ":delayed:messages", member)
    append(facts, { "owner", "junk" })
  end
  bury(letter_id, facts, nil, place)
end

local function put_off(member, body, due_ms, problem)
  local tries, first_ms = tries_of(member, due_ms)
  if tries >= max_retries then
    redis.call("HDEL", failed_key, member)
    give_up(member, body, first_ms, problem)
    return
  end
  redis.call("HSET", failed_key, member, string.format("%.0f %.0f", tries + 1, first_ms))
  redis.call("ZADD", near_due, now_ms + retry_interval_ms, member)
end

local far_head = head_of(far_due)
if far_head and far_head <= now_ms then
  promote_delayed(now_ms, limit)
  far_head = head_of(far_due)
end
-- Where more than a batch waits in the far tier, nothing that is due after its first entry may overtake it.
local upto = (far_head and far_head <= now_ms) and ("(" .. string.format("%.0f", far_head)) or now_ms

local due = redis.call("ZRANGE", near_due, "-inf", upto, "BYSCORE", "LIMIT", 0, limit, "WITHSCORES")
for at = 1, #due, 2 do
  local member, due_ms = due[at], tonumber(due[at + 1])
  local body = redis.call("HGET", near_bodies, member)
  if body then
    local _, first_ms = tries_of(member, due_ms)
    local is_fine, problem = pcall(fire_entry, member, body, first_ms, near_due, near_bodies)
    if is_fine then
      measure_lateness(now_ms - first_ms)
    else
      put_off(member, body, due_ms, type(problem) == "table" and problem.err or tostring(problem))
    end
  else
    redis.call("ZREM", near_due, member)
    redis.call("SREM", prefix .. ":delayed:messages", member)
  end
end
local releases = prefix .. ":releases"
for _, name in ipairs(redis.call("ZRANGE", releases, "-inf", now_ms, "BYSCORE", "LIMIT", 0, 50)) do release(name) end
keep_counts()
keep_entry_clock()

-- include: next_due
return { #due / 2, next_due(prefix) }
