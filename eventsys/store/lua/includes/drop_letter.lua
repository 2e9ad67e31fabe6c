--[[
drop_letter: remove a dead letter from everywhere, and say whether there was one.

`owner` is what the letter says: `subscription:<name>`, by the name it had then, `actor:<name>` or `junk`; `number` is
that of the subscription.

Uses: prefix, current_name
]]
-- Returns the present name of the subscription whose letter it is. The number tells it also where its former name was
-- declared anew since, and is another subscription's.
local function letter_subscription(name, number)
  return number and redis.call("HGET", prefix .. ":subscriptions:names", number) or current_name(name)
end

local function drop_letter(letter_id, owner, number)
  local name = string.match(owner or "", "^subscription:(.*)$")
  if name then owner = "subscription:" .. letter_subscription(name, number) end
  redis.call("DEL", prefix .. ":dead:" .. letter_id)
  redis.call("ZREM", prefix .. ":letters:" .. (owner or "junk"), letter_id)
  return redis.call("ZREM", prefix .. ":dead", letter_id) == 1
end
