--[[
cancel_unfired: take one event out of the delayed store before it is due, and write that down.

Returns the time it was due and its body, or nil when no event of that id waits.

Uses: prefix, now_ms, find_delayed, remove_delayed, record_cancelled
]]
local function cancel_unfired(id, retention_ms)
  local member, due_ms, entry, due, bodies = find_delayed(id)
  if not member or entry[3][1] ~= "event" then return nil end
  remove_delayed(entry, member, due, bodies)
  record_cancelled(entry, due_ms, retention_ms)
  return due_ms, entry
end
