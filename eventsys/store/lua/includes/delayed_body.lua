--[[
delayed_body: how an entry of the delayed store is kept.

An entry is {id, queue, step, facts}. That of an event is kept short, since millions may wait: its envelope without the
id, which begins it, and of the step only what the envelope does not say, as far as it differs from the usual:
{id, rest of the envelope, lane, expire after ms, idempotency key, its window ms, chain, facts}. An envelope that does not
begin as ours do is kept as it is.
]]
local function pack_entry(entry)
  local id, step, facts = entry[1], entry[3], entry[4]
  local head = '{"id":"' .. id .. '",'
  local is_usual = step[1] == "event" and step[2] == id and string.sub(step[5], 1, #head) == head
  local rest = is_usual and string.sub(step[5], #head + 1)
  if not rest or string.match(rest, '^"type":"([^"]*)"') ~= step[3] then return cmsgpack.pack(entry) end
  local short = { id, rest, step[4], step[9], step[6], step[6] and step[7] or 0, step[8], next(facts) and facts or false }
  local length = #short
  while length > 3 and (not short[length] or short[length] == 0) do
    short[length] = nil
    length = length - 1
  end
  return cmsgpack.pack(short)
end

local function unpack_entry(body)
  local kept = cmsgpack.unpack(body)
  if type(kept[3]) == "table" then return kept end
  local id, rest = kept[1], kept[2]
  local step = {
    "event", id, string.match(rest, '^"type":"([^"]*)"'), kept[3], '{"id":"' .. id .. '",' .. rest,
    kept[5] or false, kept[6] or 0, kept[7] or false, kept[4] or 0,
  }
  return { id, "", step, kept[8] or {} }
end
