--[[
claim_due: let the entries of the delayed store go whose time has come, and the deliveries that a rate let wait.

An entry leaves the store and enters its lane in one step, so two pollers at once take different ones, and a crash in
between loses none.

KEYS
  1  prefix of the bus
     Reads and writes below it: what add.lua and admit_deliveries.lua do
ARGV
  1  now_ms    the caller's clock; nothing leaves before it
  2  limit     most entries to let go
RETURNS
  {how many went, due time of the next one in ms or -1 when none waits}
]]
local prefix = KEYS[1]
local now_ms, limit = tonumber(ARGV[1]), tonumber(ARGV[2])

redis.call("DEL", prefix .. ":scratch")

-- include: carry_out
-- include: gates

local due = redis.call("ZRANGE", prefix .. ":delayed:due", "-inf", now_ms, "BYSCORE", "LIMIT", 0, limit, "WITHSCORES")
for at = 1, #due, 2 do
  local member = due[at]
  local body = redis.call("HGET", prefix .. ":delayed:bodies", member)
  if body then
    local entry = cmsgpack.unpack(body)
    measure_lateness(now_ms - tonumber(due[at + 1]))
    local result = carry_out(entry[3])
    if result[1] == "stored" then
      local created_ms = string.format("%.0f", entry[4].created_ms or now_ms)
      redis.call("HSET", prefix .. ":event:" .. result[2], "due_ms", due[at + 1], "created_ms", created_ms)
    end
    remove_delayed(entry[1], entry[2], member, entry[3])
  else
    redis.call("ZREM", prefix .. ":delayed:due", member)
  end
end
local releases = prefix .. ":releases"
for _, name in ipairs(redis.call("ZRANGE", releases, "-inf", now_ms, "BYSCORE", "LIMIT", 0, 50)) do release(name) end
keep_counts()
keep_entry_clock()

local next_ms = -1
for _, key in ipairs({ prefix .. ":delayed:due", releases }) do
  local head = tonumber(redis.call("ZRANGE", key, 0, 0, "WITHSCORES")[2])
  if head and (next_ms < 0 or head < next_ms) then next_ms = head end
end
return { #due / 2, next_ms }
