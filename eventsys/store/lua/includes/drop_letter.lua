--[[
drop_letter: remove a dead letter from everywhere, and say whether there was one.

`owner` is what the letter says: `subscription:<name>`, by the name it had then, `actor:<name>` or `junk`.

Uses: prefix, current_name
]]
local function drop_letter(letter_id, owner)
  local name = string.match(owner or "", "^subscription:(.*)$")
  if name then owner = "subscription:" .. current_name(name) end
  redis.call("DEL", prefix .. ":dead:" .. letter_id)
  redis.call("ZREM", prefix .. ":letters:" .. (owner or "junk"), letter_id)
  return redis.call("ZREM", prefix .. ":dead", letter_id) == 1
end
