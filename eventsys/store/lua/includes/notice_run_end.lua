--[[
notice_run_end: have the end of a cron task's run looked at now, if `target_id` is what it published or sent.

That look waits in the delayed store for the run's time-out anyway; here it is brought forward.

Uses: prefix, now_ms
]]
local function notice_run_end(target_id)
  if string.sub(target_id, 1, 5) ~= "cron:" then return end
  local id = "cron-end:" .. target_id
  local member = redis.call("HGET", prefix .. ":delayed:ids:" .. string.sub(redis.sha1hex(id), 1, 4), id)
  if member then
    redis.call("ZADD", prefix .. ":delayed:due", "XX", now_ms, member)
    redis.call("PUBLISH", prefix .. ":wake", string.format("%.0f", now_ms))
  end
end
