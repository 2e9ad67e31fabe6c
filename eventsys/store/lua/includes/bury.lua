--[[
bury: keep a dead letter until a person decides.

`facts` is a flat list of fields and values; the last of them is the owner, `subscription:<name>`, `actor:<name>` or
`junk`, in whose index the letter is found. A subscription's letter says and keeps its present name and its number, which
tells whose it is after the next rename too. A delivery's letter keeps where its event stands in the log.

Copies of a plain actor's message, as Dramatiq makes them, have its id: where a letter of that id is kept already, this one
goes by `<id>#<place>`, where `place` is something that no other message has.

Uses: prefix, now_ms, count
]]
-- include: cron_waits
-- Returns the owner of a letter as it is called now, and its number where it is a subscription that has one.
local function present_owner(owner)
  local name, subscriptions = string.match(owner, "^subscription:(.*)$"), prefix .. ":subscriptions:"
  local number = name and redis.call("HGET", subscriptions .. "numbers", name)
  local present = number and redis.call("HGET", subscriptions .. "names", number)
  if not present then return owner, nil end
  return "subscription:" .. present, number
end

local function bury(message_id, facts, event_id, place)
  local letter_id, owner, number = message_id, present_owner(facts[#facts])
  local is_plain = string.sub(owner, 1, 6) == "actor:"
  if is_plain and redis.call("EXISTS", prefix .. ":dead:" .. letter_id) == 1 then letter_id = letter_id .. "#" .. place end
  local letter = prefix .. ":dead:" .. letter_id
  redis.call("DEL", letter)
  redis.call("HSET", letter, "died_ms", string.format("%.0f", now_ms), unpack(facts))
  if number then redis.call("HSET", letter, "owner", owner, "number", number) end
  local logged = event_id and redis.call("HGET", prefix .. ":event:" .. event_id, "log")
  if logged then redis.call("HSET", letter, "log", logged) end
  redis.call("ZADD", prefix .. ":dead", now_ms, letter_id)
  redis.call("ZADD", prefix .. ":letters:" .. owner, now_ms, letter_id)
  count("dead_letters", 1)
  for at = 1, #facts, 2 do
    if facts[at] == "reason" then count("dead_letters_" .. facts[at + 1], 1) end
  end
  notice_run_end(message_id)
end
