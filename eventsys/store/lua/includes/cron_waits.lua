--[[
cron_waits: what a cron task has waiting in the delayed store, in either tier: taken out, or brought forward.

Apart from add_delayed, because the scripts that end deliveries need this and nothing else of the store.

Uses: prefix, now_ms
]]
local function cron_waits()
  local function cron_ids(id)
    return prefix .. ":delayed:ids:" .. string.sub(redis.sha1hex(id), 1, 4)
  end

  -- Takes an entry out of its tier; returns its member and its body, or nil when none of this id waits.
  local function take_cron_wait(id)
    local member = redis.call("HGET", cron_ids(id), id)
    if not member then return nil end
    local tier = prefix .. ":delayed"
    if redis.call("ZREM", tier .. ":due", member) == 0 then
      tier = prefix .. ":delayed:far"
      redis.call("ZREM", tier .. ":due", member)
    end
    local body = redis.call("HGET", tier .. ":bodies", member)
    redis.call("HDEL", tier .. ":bodies", member)
    return member, body
  end

  local function drop_cron_wait(id)
    local member = take_cron_wait(id)
    if not member then return end
    redis.call("HDEL", cron_ids(id), id)
    redis.call("SREM", prefix .. ":delayed:messages", member)
    redis.call("HDEL", prefix .. ":delayed:failed", member)
    if redis.call("HINCRBY", prefix .. ":delayed:queues", "eventsys.cron", -1) == 0 then
      redis.call("HDEL", prefix .. ":delayed:queues", "eventsys.cron")
    end
  end

  return { take = take_cron_wait, drop = drop_cron_wait }
end

-- Has the end of a run looked at now, if `target_id` is what a run published or sent. That look waits for the run's
-- time-out anyway.
local function notice_run_end(target_id)
  if string.sub(target_id, 1, 5) ~= "cron:" then return end
  local member, body = cron_waits().take("cron-end:" .. target_id)
  if not member then return end
  redis.call("ZADD", prefix .. ":delayed:due", now_ms, member)
  redis.call("HSET", prefix .. ":delayed:bodies", member, body)
  redis.call("PUBLISH", prefix .. ":wake", string.format("%.0f", now_ms))
end
