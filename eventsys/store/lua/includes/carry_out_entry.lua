--[[
carry_out_entry: carry out the step of an entry of the delayed store, and write in the event's record what the entry knew.

Returns what came of the step.

Uses: prefix, carry_out
]]
local function carry_out_entry(step, facts, due_ms)
  local result = carry_out(step, due_ms)
  if result[1] == "stored" then
    local record = prefix .. ":event:" .. result[2]
    redis.call("HSET", record, "due_ms", string.format("%.0f", due_ms))
    if facts.created_ms then redis.call("HSET", record, "created_ms", string.format("%.0f", facts.created_ms)) end
    if facts.key then redis.call("HSET", record, "key", facts.key) end
  end
  return result
end
