--[[
bury: keep a dead letter until a person decides.

`facts` is a flat list of fields and values.

Uses: prefix, now_ms, count
]]
-- include: cron_waits
local function bury(letter_id, facts)
  local letter = prefix .. ":dead:" .. letter_id
  redis.call("DEL", letter)
  redis.call("HSET", letter, "died_ms", string.format("%.0f", now_ms), unpack(facts))
  redis.call("ZADD", prefix .. ":dead", now_ms, letter_id)
  count("dead_letters", 1)
  for at = 1, #facts, 2 do
    if facts[at] == "reason" then count("dead_letters_" .. facts[at + 1], 1) end
  end
  notice_run_end(letter_id)
end
