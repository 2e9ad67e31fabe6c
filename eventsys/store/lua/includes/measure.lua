--[[
measure: count what happens to events by their type, and to deliveries by type and subscription. `keep_counts` writes it.

This is on the path of every delivery, so it only adds to tables; the totals of the bus, the counters a minute and
the writes, one a touched field, come once a script. There are at most `most_measured` types and as many pairs of a type
and a subscription; what comes later is added to `*`: as a type, and then as subscription 0 too.

Durations and waits are counted in buckets whose upper bounds are powers of two. They stand in one string a pair, 64-bit
numbers that one command adds to: sum of the waits in ms, sum of the durations in µs, then a number of waits for
each exponent from 0 to 27, then of durations for each from 0 to 35. As fields of a hash they cost three times as much.

Uses: prefix, now_ms, count
]]
local most_measured = 1000
local minutes_kept_ms = 2 * 3600 * 1000

local frexp = math.frexp
local of_types, of_pairs, lateness = {}, {}, nil
local last_type, last_numbers

local function count_event(event_type, what)
  event_type = event_type or "*"
  local counts = of_types[event_type]
  if not counts then
    counts = {}
    of_types[event_type] = counts
  end
  counts[what] = (counts[what] or 0) + 1
end

local function measured_of(event_type, number)
  if event_type ~= last_type then
    last_type, last_numbers = event_type, of_pairs[event_type]
    if not last_numbers then
      last_numbers = {}
      of_pairs[event_type] = last_numbers
    end
  end
  local measured = last_numbers[number]
  if not measured then
    measured = { counts = {}, times = { [0] = 0, [1] = 0 } }
    last_numbers[number] = measured
  end
  return measured
end

local function count_delivery(event_type, number, letter, waited_ms, took_us)
  local measured = measured_of(event_type or "*", number)
  local counts, times = measured.counts, measured.times
  counts[letter] = (counts[letter] or 0) + 1
  -- frexp tells the exponent of the least power of two above; half less makes that "not below" for whole numbers.
  if waited_ms and waited_ms >= 0 then
    local _, exponent = frexp(waited_ms - 0.5)
    local place = exponent < 27 and 2 + exponent or 29
    times[place] = (times[place] or 0) + 1
    times[0] = times[0] + waited_ms
  end
  if took_us and took_us >= 0 then
    local _, exponent = frexp(took_us - 0.5)
    local place = exponent < 35 and 30 + exponent or 65
    times[place] = (times[place] or 0) + 1
    times[1] = times[1] + took_us
  end
end

-- Counts deliveries that succeeded at once: `values` has, from `first` to `last`, a place among the times and what is added
-- there in turn.
local function count_succeeded(event_type, number, many, values, first, last)
  local measured = measured_of(event_type, number)
  local times = measured.times
  measured.counts.s = (measured.counts.s or 0) + many
  for at = first, last, 2 do times[values[at]] = (times[values[at]] or 0) + values[at + 1] end
end

-- Counts the deliveries of so many events that all went to `targets`.
local function count_opened(targets, event_type, many)
  for at = 1, #targets, 4 do
    local counts = measured_of(event_type or "*", targets[at]).counts
    counts.o = (counts.o or 0) + many
  end
end

local function measure_lateness(late_ms)
  local _, exponent = frexp(late_ms - 0.5)
  local place = exponent < 27 and 2 + exponent or 29
  lateness = lateness or { [0] = 0 }
  lateness[place] = (lateness[place] or 0) + 1
  lateness[0] = lateness[0] + late_ms
end

-- A registry names what is measured. It is asked only when the first count of a key says that the key may be new.
local function is_room(registry, member, limit)
  if redis.call("SISMEMBER", registry, member) == 1 then return true end
  if redis.call("SCARD", registry) >= limit then return false end
  redis.call("SADD", registry, member)
  return true
end

-- Adds counts to the hash of the first of `names` that there is room for, and returns that name.
local function add_counts(stem, registry, names, counts, fields)
  for at, name in ipairs(names) do
    local key, is_first, has_room = stem .. name, true, true
    for what, by in pairs(counts) do
      if has_room and redis.call("HINCRBY", key, fields and fields[what] or what, by) == by and is_first then
        has_room = is_room(registry, name, at == #names and math.huge or at * most_measured)
      end
      is_first = false
    end
    if has_room then return name end
    redis.call("DEL", key)
  end
end

local function add_times(key, times)
  local arguments = {}
  for place, by in pairs(times) do
    if by > 0 then
      arguments[#arguments + 1] = "INCRBY"
      arguments[#arguments + 1] = "i64"
      arguments[#arguments + 1] = "#" .. place
      arguments[#arguments + 1] = by
    end
  end
  if #arguments > 0 then redis.call("BITFIELD", key, unpack(arguments)) end
end

-- The hash of a minute gets its expiry with its first field.
local function add_to_minute(minute, field, by)
  if redis.call("HINCRBY", minute, field, by) == by then redis.call("PEXPIRE", minute, minutes_kept_ms) end
end

local function keep_type(minute, event_type, counts)
  local metrics = prefix .. ":metrics:"
  local name = add_counts(metrics .. "type:", metrics .. "types", { event_type, "*" }, counts)
  if counts.published then add_to_minute(minute, name, counts.published) end
  if counts.unrouted then add_to_minute(minute, name .. ":unrouted", counts.unrouted) end
  local first = string.match(event_type, "^[^.]*")
  if first == "system" or first == "cron" then
    local ended = (counts.delivered or 0) + (counts.failed or 0) + (counts.expired or 0) + (counts.cancelled or 0)
    count("system_events", counts.published or 0)
    count("system_ended_events", ended - (counts.reopened or 0))
    return
  end
  for what, by in pairs(counts) do count(what == "published" and "total_events" or what .. "_events", by) end
end

-- Most scripts end no delivery: what counts them is made for those that do.
local function keep_pairs(minute)
  -- The letters are those of the lines of a record; besides, `o` for a delivery that is open from now on, and `r` for one
  -- that had ended and is open again.
  local delivery_totals = {
    o = "deliveries", s = "deliveries_succeeded", f = "retries", d = "deliveries_dead", x = "deliveries_expired",
    c = "deliveries_cancelled", r = "deliveries_redriven",
  }
  local delivery_fields = {
    o = "opened", s = "succeeded", f = "failed", d = "dead", x = "expired", c = "cancelled", r = "redriven",
  }
  local is_rated = { s = true, f = true, d = true }

  local function keep_pair(event_type, number, measured)
    local metrics, counts = prefix .. ":metrics:", measured.counts
    local names = { event_type .. ":" .. number, "*:" .. number, "*:0" }
    local name = add_counts(metrics .. "delivery:", metrics .. "deliveries", names, counts, delivery_fields)
    add_times(metrics .. "times:" .. name, measured.times)
    for letter, by in pairs(counts) do
      count(delivery_totals[letter], by)
      if is_rated[letter] then add_to_minute(minute, name .. ":" .. delivery_fields[letter], by) end
    end
  end

  for event_type, numbers in pairs(of_pairs) do
    for number, measured in pairs(numbers) do keep_pair(event_type, number, measured) end
  end
end

local function keep_measures()
  if lateness then add_times(prefix .. ":metrics:lateness", lateness) end
  if not next(of_types) and not next(of_pairs) then return end
  local minute = prefix .. ":metrics:minute:" .. string.format("%.0f", now_ms / 60000 - now_ms / 60000 % 1)
  for event_type, counts in pairs(of_types) do keep_type(minute, event_type, counts) end
  if next(of_pairs) then keep_pairs(minute) end
end
