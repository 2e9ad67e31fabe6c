--[[
cron_steps: what the ticks and the runs of cron tasks do, each in one step with the commit that it rides on.

A tick is known by the name it was armed with: a new name is given whenever another tick takes its place, so a message
for one that was superseded, or handled before, does nothing. Its claim, its run and the next tick are one step.

`tick` is {"cron_tick", {name, armed, revision, overlap, holds, again, next, records, told, skipped, run}}:
  armed, revision   what the tick was called, and what the task was, when this was computed
  again             the message step that has the tick looked at once more
  holds             whether it waits for the end of an open run, and is looked at then
  next              {armed, tick ms, due ms, delayed step}, or false when the task ends with this one
  records, told     history of what is given up, as JSON; events that tell of it
  skipped           the record where an open run forbids this one
  run               what starts it, or false
`start` is {"cron_start", {name, run_id, scheduled_ms or false, target_id, timeout_ms, max_runs, publish, told, check}}:
  publish           the event or message step
  check             the delayed step that looks at the end of the run, at its time-out or as soon as it has ended
`end` is {"cron_end", {name, run_id, outcome, error, told}}

Each returns {what came of it, name}. `cron_steps` returns them by name, what arms a task, and what records a run.

Uses: prefix, now_ms, carry_out
]]
-- include: cron_waits
local function cron_steps()
  local cron_history = 100

  local function cron_task(name) return prefix .. ":cron:task:" .. name end
  local function cron_open(name) return prefix .. ":cron:open:" .. name end

  local function arm_cron_task(name, tick)
    cron_waits().drop("cron-tick:" .. name)
    if not tick then
      redis.call("HDEL", cron_task(name), "armed", "tick_ms", "due_ms")
      return
    end
    redis.call(
      "HSET", cron_task(name), "armed", tick.armed, "tick_ms", string.format("%.0f", tick.tick_ms),
      "due_ms", string.format("%.0f", tick.due_ms)
    )
    carry_out(tick.step)
  end

  local function end_cron_task(name, why)
    arm_cron_task(name, false)
    redis.call("HSET", cron_task(name), "state", "ended", "reason", why)
  end

  -- How often runs came to what is counted too, since the history is short.
  local function record_cron_run(name, text)
    local history, outcome = prefix .. ":cron:history:" .. name, cjson.decode(text).outcome
    redis.call("HINCRBY", cron_task(name), "ended:" .. outcome, 1)
    if outcome == "completed" then redis.call("HSET", cron_task(name), "completed_ms", string.format("%.0f", now_ms)) end
    redis.call("LPUSH", history, text)
    redis.call("LTRIM", history, 0, cron_history - 1)
  end

  -- Who begins a run by hand and loses the reply asks again: another may have begun since, and this one may be over.
  local function was_begun(name, run_id)
    if redis.call("HEXISTS", cron_open(name), run_id) == 1 then return true end
    local written = '"run_id":' .. cjson.encode(run_id)
    for _, record in ipairs(redis.call("LRANGE", prefix .. ":cron:history:" .. name, 0, cron_history - 1)) do
      if string.find(record, written, 1, true) then return true end
    end
    return false
  end

  local function cron_start(step)
    local run = step[2]
    local name, task, open = run.name, cron_task(run.name), cron_open(run.name)
    local revision, last = unpack(redis.call("HMGET", task, "revision", "last_run"))
    if not revision then return { "unknown", name } end
    if last == run.run_id or not run.scheduled_ms and was_begun(name, run.run_id) then return { "started", name } end
    redis.call("HSET", task, "last_run", run.run_id)
    redis.call("HSET", open, run.run_id, cjson.encode({
      run_id = run.run_id, scheduled_ms = run.scheduled_ms, started_ms = now_ms, target_id = run.target_id,
      deadline_ms = now_ms + run.timeout_ms,
    }))
    carry_out(run.told)
    carry_out(run.publish)
    run.check[3] = now_ms + run.timeout_ms
    carry_out(run.check)
    if run.scheduled_ms and redis.call("HINCRBY", task, "runs", 1) == run.max_runs then
      end_cron_task(name, "its " .. run.max_runs .. " runs are done")
    end
    return { "started", name }
  end

  local function cron_tick(step)
    local tick = step[2]
    local name, task = tick.name, cron_task(tick.name)
    local armed, revision = unpack(redis.call("HMGET", task, "armed", "revision"))
    if armed ~= tick.armed then return { "superseded", name } end
    if revision ~= tick.revision then return carry_out(tick.again) end
    local is_open = redis.call("HLEN", cron_open(name)) > 0
    if tick.holds and is_open then
      redis.call("HSET", task, "held", cmsgpack.pack(tick.again))
      return { "held", name }
    end
    if tick.next then
      arm_cron_task(name, tick.next)
    else
      end_cron_task(name, "its last tick has come")
    end
    for _, record in ipairs(tick.records) do record_cron_run(name, record) end
    for _, told in ipairs(tick.told) do carry_out(told) end
    if not tick.run then return { "missed", name } end
    if is_open and tick.overlap ~= "allow" then
      if tick.overlap == "buffer_one" and redis.call("HEXISTS", task, "waiting") == 0 then
        redis.call("HSET", task, "waiting", cmsgpack.pack({ "cron_start", tick.run }))
        return { "buffered", name }
      end
      record_cron_run(name, tick.skipped)
      return { "skipped", name }
    end
    return cron_start({ "cron_start", tick.run })
  end

  local function cron_end(step)
    local ended = step[2]
    local name, task, open = ended.name, cron_task(ended.name), cron_open(ended.name)
    local text = redis.call("HGET", open, ended.run_id)
    if not text then return { "ended", name } end
    local run = cjson.decode(text)
    redis.call("HDEL", open, ended.run_id)
    cron_waits().drop("cron-end:" .. run.target_id)
    run.ended_ms, run.outcome, run.error = now_ms, ended.outcome, ended.error
    record_cron_run(name, cjson.encode(run))
    carry_out(ended.told)
    -- The run that waits is of an earlier tick than the one that is looked at again.
    for _, what in ipairs({ "waiting", "held" }) do
      local following = redis.call("HLEN", open) == 0 and redis.call("HGET", task, what)
      if following then
        redis.call("HDEL", task, what)
        carry_out(cmsgpack.unpack(following))
      end
    end
    return { "ended", name }
  end

  return { cron_tick = cron_tick, cron_start = cron_start, cron_end = cron_end }, arm_cron_task, record_cron_run
end
