--[[
fire_entry: let one entry of the delayed store go: carry out its step, and take it out of the store.

Returns what came of the step.

Uses: prefix, now_ms, remove_delayed
]]
-- include: carry_out_entry
local function fire_entry(member, body, due_ms, due, bodies)
  local entry = unpack_entry(body)
  local result = carry_out_entry(entry[3], entry[4], due_ms)
  remove_delayed(entry, member, due, bodies)
  return result
end
