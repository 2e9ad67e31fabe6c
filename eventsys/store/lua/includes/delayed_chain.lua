--[[
delayed_chain: note which delayed events belong to a chain that others are in, so that what an event led to is found
before it is due.

`step` is what is kept for later; only an event of a chain other than its own counts.

Uses: prefix
]]
local function chain_of(step)
  return step[1] == "event" and step[8] and step[8] ~= step[2] and prefix .. ":delayed:chain:" .. step[8]
end

local function join_chain(step)
  local chain = chain_of(step)
  if chain then redis.call("SADD", chain, step[2]) end
end

local function leave_chain(step)
  local chain = chain_of(step)
  if chain then redis.call("SREM", chain, step[2]) end
end
