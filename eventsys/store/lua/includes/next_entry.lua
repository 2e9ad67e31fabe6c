--[[
next_entry: name the next stream entry, `<ms>-<number>`.

The names only grow, over all streams of the bus and whatever the callers' clocks do, so an event's name in the log
serves in every index too. `keep_entry_clock` must end every script that used it; it does what others have put into
`at_end` for then, too.

Uses: prefix, now_ms
]]
local entry_clock = prefix .. ":clock"
local entry_ms, entry_number, entry_name
-- The name with its first part, written once a millisecond: printing such a number is what costs most of this.
local entry_format
local at_end = {}

-- Goes on behind the last name, which a script may have read with something else.
local function begin_entries(last)
  if last then
    local ms, number = string.match(last, "^(%d+)-(%d+)$")
    entry_ms, entry_number = tonumber(ms), tonumber(number)
  else
    entry_ms, entry_number = 0, 0
  end
end

local function next_entry()
  if not entry_ms then begin_entries(redis.call("GET", entry_clock)) end
  if now_ms > entry_ms then
    entry_ms, entry_number, entry_format = now_ms, 0, nil
  else
    entry_number = entry_number + 1
  end
  entry_format = entry_format or string.format("%.0f-%%d", entry_ms)
  entry_name = string.format(entry_format, entry_number)
  return entry_name
end

local function keep_entry_clock()
  if entry_name then redis.call("SET", entry_clock, entry_name) end
  for _, finish in ipairs(at_end) do finish() end
end
