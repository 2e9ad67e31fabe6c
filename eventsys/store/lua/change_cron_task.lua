--[[
change_cron_task: create a cron task, change it, or delete it, if nobody changed it meanwhile.

Its row, its next tick in the delayed store and the event that tells of the change are one step.

KEYS
  1  prefix of the bus
     Reads and writes below it: what add.lua does, cron:tasks, cron:task:<name>, cron:open:<name>, cron:history:<name>,
     cron:declared
ARGV
  1  now_ms     the caller's clock
  2  name
  3  expected   the revision that the change was computed with; empty: there is no such task
  4  change     the name of this change, by which it is known again after a lost reply
  5  row        msgpack: fields and values in turn; false deletes the task
  6  arming     msgpack: {"keep"}; {"disarm"}; {"arm", {armed, tick ms, due ms, delayed step}}
  7..  told     msgpack: event steps
RETURNS
  {1, revision} when it was changed, now or by the same change before; {0, revision or ""} when it is not what was
  expected
]]
local prefix, name, expected, change = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
local now_ms = tonumber(ARGV[1])

-- include: carry_out

local _, arm_cron_task = cron_steps()
local task = prefix .. ":cron:task:" .. name
local row, arming = cmsgpack.unpack(ARGV[5]), cmsgpack.unpack(ARGV[6])
local revision, last = unpack(redis.call("HMGET", task, "revision", "change"))
if last == change then return { 1, revision } end
if (revision or "") ~= expected then return { 0, revision or "" } end

if row then
  revision = string.format("%.0f", tonumber(revision or "0") + 1)
  redis.call("HSET", task, "revision", revision, "change", change, unpack(row))
  redis.call("ZADD", prefix .. ":cron:tasks", 0, name)
  if arming[1] ~= "keep" then
    redis.call("HDEL", task, "waiting", "held")
    arm_cron_task(name, arming[2] or false)
  end
else
  arm_cron_task(name, false)
  redis.call("DEL", task, prefix .. ":cron:open:" .. name, prefix .. ":cron:history:" .. name)
  redis.call("ZREM", prefix .. ":cron:tasks", name)
  redis.call("HDEL", prefix .. ":cron:declared", name)
end
for at = 7, #ARGV do carry_out(cmsgpack.unpack(ARGV[at])) end
keep_counts()
keep_entry_clock()
return { 1, revision or "" }
