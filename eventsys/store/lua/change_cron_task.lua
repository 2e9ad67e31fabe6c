--[[
change_cron_task: create a cron task, change it, or delete it, if nobody changed it meanwhile.

Its row, its next tick in the delayed store and the event that tells of the change are one step. A tick that has come
and takes no effect any more is recorded as missed, and so is the run that waits, where there is no next tick.

KEYS
  1  prefix of the bus
     Reads and writes below it: what add.lua does, cron:tasks, cron:task:<name>, cron:open:<name>, cron:history:<name>,
     cron:declared
ARGV
  1  now_ms     the caller's clock
  2  name
  3  expected   the revision that the change was computed with; empty: there is no such task
  4  armed      what its next tick was called then; empty: it waited for none. Another name is a change too, unless the
                next tick is kept or the task deleted
  5  change     the name of this change, by which it is known again after a lost reply
  6  row        msgpack: fields and values in turn; false deletes the task
  7  arming     msgpack: {"keep"}; {"disarm"}; {"arm", {armed, tick ms, due ms, delayed step}}
  8..  told     msgpack: event steps
RETURNS
  {1, revision} when it was changed, now or by the same change before; {0, revision or ""} when it is not what was
  expected
]]
local prefix, name, expected, expected_armed, change = KEYS[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local now_ms = tonumber(ARGV[1])

-- include: carry_out

local _, arm_cron_task, record_cron_run = cron_steps()
local task = prefix .. ":cron:task:" .. name
local row, arming = cmsgpack.unpack(ARGV[6]), cmsgpack.unpack(ARGV[7])
local revision, last, armed, tick_ms, waiting =
  unpack(redis.call("HMGET", task, "revision", "change", "armed", "tick_ms", "waiting"))
if last == change then return { 1, revision } end
-- A tick that was taken since is not armed again.
local is_taken = row and arming[1] ~= "keep" and (armed or "") ~= expected_armed
if (revision or "") ~= expected or is_taken then return { 0, revision or "" } end

-- A run by schedule is called by the milliseconds of its tick.
local function give_up(run_id)
  record_cron_run(name, cjson.encode({
    run_id = run_id, scheduled_ms = tonumber(run_id), ended_ms = now_ms, outcome = "missed",
    error = "its task was paused, ended or changed before it ran",
  }))
end

if row then
  revision = string.format("%.0f", tonumber(revision or "0") + 1)
  redis.call("HSET", task, "revision", revision, "change", change, unpack(row))
  redis.call("ZADD", prefix .. ":cron:tasks", 0, name)
  if arming[1] ~= "keep" then
    local following = arming[2] or false
    if waiting and not following then
      redis.call("HDEL", task, "waiting")
      give_up(cmsgpack.unpack(waiting)[2].run_id)
    end
    local is_due = tick_ms and tonumber(tick_ms) <= now_ms
    if is_due and not (following and following.tick_ms <= tonumber(tick_ms)) then give_up(tick_ms) end
    -- A tick that was held is armed again under another name, or given up.
    redis.call("HDEL", task, "held")
    arm_cron_task(name, following)
  end
else
  arm_cron_task(name, false)
  redis.call("DEL", task, prefix .. ":cron:open:" .. name, prefix .. ":cron:history:" .. name)
  redis.call("ZREM", prefix .. ":cron:tasks", name)
  redis.call("HDEL", prefix .. ":cron:declared", name)
end
for at = 8, #ARGV do carry_out(cmsgpack.unpack(ARGV[at])) end
keep_counts()
keep_entry_clock()
return { 1, revision or "" }
