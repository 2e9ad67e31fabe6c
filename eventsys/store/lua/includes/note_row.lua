--[[
note_row: note that the row of a subscription was written, or taken away: then `row` is empty.

Every process keeps the rows that it has read for as long as the digest in subscriptions:rows stands. That is one of all
that was ever written to them, one after another, and no count: after a loss of data other changes lead to another
digest, and the same ones to the same rows.

Uses: prefix
]]
local function note_row(name, row)
  local digest = prefix .. ":subscriptions:rows"
  local noted = redis.call("GET", digest) or ""
  redis.call("SET", digest, redis.sha1hex(noted .. "\n" .. name .. "\n" .. row))
end
