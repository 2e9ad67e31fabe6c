--[[
fire_entry: let one entry of the delayed store go: carry out its step, and take it out of the store.

Returns what came of the step.

Uses: prefix, now_ms, carry_out, remove_delayed
]]
local function fire_entry(member, body, due_ms, due, bodies)
  local entry = unpack_entry(body)
  local facts = entry[4]
  local result = carry_out(entry[3], due_ms)
  if result[1] == "stored" then
    local record = prefix .. ":event:" .. result[2]
    redis.call("HSET", record, "due_ms", string.format("%.0f", due_ms))
    if facts.created_ms then redis.call("HSET", record, "created_ms", string.format("%.0f", facts.created_ms)) end
    if facts.key then redis.call("HSET", record, "key", facts.key) end
  end
  remove_delayed(entry, member, due, bodies)
  return result
end
