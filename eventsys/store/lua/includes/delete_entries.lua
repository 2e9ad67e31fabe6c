--[[
delete_entries: take entries that were given up out of the lane of a queue.

They are over mostly in the order in which they came. So what lies before the oldest that somebody still holds is cut
off as a whole, which costs a tenth of deleting it one by one, and the rest is deleted. Nothing else lies there: what is
given up is deleted in the same step, and what waits comes behind everything that was ever fetched. Not so in the log,
whose entries stay.

Uses: prefix
]]
-- So few are deleted as quickly.
local fewest_cut_off = 8

local function delete_entries(stream, entries)
  local all, deleted, queues = #entries, 0, prefix .. ":queue:"
  if all >= fewest_cut_off and string.sub(stream, 1, #queues) == queues then
    local oldest_held = redis.call("XPENDING", stream, "workers")[2]
    deleted = redis.call("XTRIM", stream, "MINID", oldest_held or entries[all])
    -- Where nothing is held, the last is left over.
    if not oldest_held and deleted == all - 1 then deleted = deleted + redis.call("XDEL", stream, entries[all]) end
  end
  if deleted < all then redis.call("XDEL", stream, unpack(entries)) end
end
