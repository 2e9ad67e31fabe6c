--[[
claim_suspect: take one message that a dead process held, after counting that crash against it.

The count is raised before the message is handed out, so a message that kills its process is counted even though
nothing of it commits. At the limit it is buried instead: its neighbours, which were merely held by the same process,
run alone once and are cleared by their commit.

KEYS
  1  prefix of the bus
     Reads and writes below it: the lanes given, crashes, subscriptions:names, subscriptions:numbers, event:<id>, pending, counts,
     metrics:<...>, status:failed, dead, dead:<letter id>, letters:<owner>
ARGV
  1    now_ms          the caller's clock
  2    process         who takes it
  3    crash_limit     crashes that make a dead letter; 0: none does
  4    retention_ms    how long the record of a finished event is kept
  5..  lanes           their keys, most urgent first
RETURNS
  {lane's key, entry as XREADGROUP returns it, crashes}; {} when there is no suspect; {lane's key, id} when one was buried
]]
local prefix, process = KEYS[1], ARGV[2]
local now_ms, crash_limit, retention_ms = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])

redis.call("DEL", prefix .. ":scratch")

-- include: count
-- include: finish_event
-- include: end_delivery
-- include: bury
-- include: delivery_number

-- Milliseconds after which a suspect goes before those of more urgent lanes: where processes are killed faster than
-- suspects can be handed out one at a time, the lowest lane would get none.
local OVERDUE_MS = 3000

-- Entries looked at together, and how often: where more than these have crashes, the one with the fewest of these is next.
local PAGE, MOST_PAGES = 64, 16

-- Returns the entry with the fewest crashes, of these the oldest; its crashes, and for how long it has waited.
local function least_crashed(stream)
  local after, id, least, idle_ms = "-", nil, nil, nil
  for _ = 1, MOST_PAGES do
    local held = redis.pcall("XPENDING", stream, "workers", after, "+", PAGE, "suspects")
    if held.err or #held == 0 then break end
    local marks = {}
    for at, entry in ipairs(held) do marks[at] = stream .. "|" .. entry[1] end
    for at, counted in ipairs(redis.call("HMGET", prefix .. ":crashes", unpack(marks))) do
      local crashes = tonumber(counted or "0")
      if not least or crashes < least then id, least, idle_ms = held[at][1], crashes, held[at][3] end
      if crashes == 0 then return id, least, idle_ms end
    end
    if #held < PAGE then break end
    after = "(" .. held[#held][1]
  end
  return id, least, idle_ms
end

-- Of each lane the one with the fewest crashes, and of these the same, the most urgent lane first.
-- Where processes are killed often and for no fault of a message, the oldest one would be in hand each time; so no
-- message is counted twice before all have been once. What kills comes after everything that was merely beside it,
-- however much of it there is: a lane that began with dozens of such messages gave out nothing else.
local function first_suspect()
  local best_stream, best_id, fewest
  local longest_ms = OVERDUE_MS
  for at = 5, #ARGV do
    local id, least, idle_ms = least_crashed(ARGV[at])
    if id and (not fewest or least < fewest or (least == fewest and idle_ms > longest_ms)) then
      best_stream, best_id, fewest = ARGV[at], id, least
      longest_ms = math.max(OVERDUE_MS, idle_ms)
    end
  end
  return best_stream, best_id
end

local function field(fields, name)
  for at = 1, #fields, 2 do
    if fields[at] == name then return fields[at + 1] end
  end
end

local function bury_crasher(stream, id, fields, crashes)
  local facts = {
    "reason", "crash_loop", "error", "the process died " .. crashes .. " times while it handled this message",
    "attempts", crashes, "lane", string.match(stream, "(%d+)$"), "queue", string.match(stream, ":queue:(.+):%d+$") or "",
  }
  local function add_fact(name, value)
    if not value then return end
    facts[#facts + 1] = name
    facts[#facts + 1] = value
  end
  -- A call takes some thousand values and no more; what has so many fields is no message.
  for at = 1, math.min(#fields, 200) do facts[#facts + 1] = fields[at] end
  local subscription = field(fields, "s")
  local read, header = pcall(cjson.decode, field(fields, subscription and "e" or "m") or "")
  local letter_id = stream .. "|" .. id
  local number = subscription and delivery_number(fields)
  local owner = "junk"
  if read and type(header) == "table" then
    letter_id = subscription and (tostring(header.id) .. ":" .. subscription) or tostring(header.message_id)
    letter_id = letter_id .. (number and string.match(number, "#.*") or "")
    local name = subscription or tostring(header.actor_name)
    owner = (subscription and "subscription:" or "actor:") .. name
    add_fact("actor", name)
    add_fact("type", subscription and tostring(header.type))
    local options = subscription and field(fields, "o")
    local has_options, said = pcall(cjson.decode, options or "{}")
    said = has_options and (subscription and said or header.options) or {}
    add_fact("redrives", type(said) == "table" and said.redrives)
  end
  add_fact("owner", owner)
  bury(letter_id, facts, subscription and read and header.id, id)
  if number and read then
    local said = cjson.encode({ "the process died " .. crashes .. " times while it handled this message", "" })
    end_delivery(header.id, number, string.format("d%.0f,0,0,%s", now_ms, said), false, header.type)
  end
end

local stream, id = first_suspect()
if not stream then return {} end

local found = redis.call("XRANGE", stream, id, id)[1]
local mark = stream .. "|" .. id
local crashes = redis.call("HINCRBY", prefix .. ":crashes", mark, 1)
if not found or (crash_limit > 0 and crashes >= crash_limit) then
  if found then bury_crasher(stream, id, found[2], crashes) end
  redis.call("XACK", stream, "workers", id)
  redis.call("XDEL", stream, id)
  redis.call("HDEL", prefix .. ":crashes", mark)
  keep_counts()
  return { stream, id }
end
redis.call("XCLAIM", stream, "workers", process, 0, id, "JUSTID")
return { stream, found, crashes }
