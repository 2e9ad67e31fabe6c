--[[
read_envelope: read id, type and chain off the beginning of an envelope, without decoding it; nil when it is no event.

A quote is never bare in what a user wrote, so before `headers` and `payload` this can only be the field; behind them
anything may look like it. Nothing here goes back in the text, because a payload may be large. An id with a quote or a
backslash of its own is decoded.
]]
local function read_envelope(envelope)
  local event_id, event_type, ends = string.match(envelope, '^{"id":"([^"\\]+)","type":"([^"\\]+)"()')
  if event_id then
    local header = string.sub(envelope, ends, string.find(envelope, ',"payload":', ends, true) or -1)
    local at = string.find(header, ',"correlation_id":"', 1, true)
    local headers = at and string.find(header, ',"headers":{', 1, true)
    if not at or (headers and headers < at) then return event_id, event_type, event_id end
    local chain = string.match(header, '^([^"\\]+)"', at + 19)
    if chain then return event_id, event_type, chain end
  end
  local is_json, header = pcall(cjson.decode, envelope)
  if not is_json or type(header) ~= "table" or type(header.id) ~= "string" or type(header.type) ~= "string" then
    return nil
  end
  local chain = header.correlation_id
  return header.id, header.type, type(chain) == "string" and chain or header.id
end
