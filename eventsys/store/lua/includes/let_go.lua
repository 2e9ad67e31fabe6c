--[[
let_go: take what belongs to one event of the history away together with its entry.

The record goes with it when nothing of the event is open; else it keeps the envelope, and expires by the commit that
ends it. That of an event that expired keeps it too where its entry goes by its age: it ended when the entry was old,
or nearly so, and would go at the moment in which there is something to tell.

Uses: prefix
]]
-- include: read_envelope
local records = prefix .. ":event:"

-- Deleted so many at a time, soon after they were read.
local deleted_at_once, records_over = 25, {}

local function delete_records()
  if records_over[1] then redis.call("DEL", unpack(records_over)) end
  records_over = {}
end

-- Returns the event's id, type and chain; nil when the entry is no event.
local function let_go(home, entry, envelope, is_old)
  local event_id, event_type, chain = read_envelope(envelope)
  if not event_id then return nil end
  local record = records .. event_id
  local place, opened, replays, status = unpack(redis.call("HMGET", record, "log", "open", "replays", "status"), 1, 4)
  if place == home .. ":" .. entry then
    local is_over = opened == "0" and (not replays or replays == "0")
    if is_over and not (is_old and status == "expired") then
      records_over[#records_over + 1] = record
      if #records_over == deleted_at_once then delete_records() end
    else
      redis.call("HSET", record, "envelope", envelope)
    end
  end
  return event_id, event_type, chain
end
