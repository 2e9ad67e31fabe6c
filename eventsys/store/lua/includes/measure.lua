--[[
measure: count what happens to events by their type, and to deliveries by type and subscription. `keep_counts` writes it.

This is on the path of every delivery, so it only adds to tables. Once a script the totals of the bus are kept, and all else
goes as one piece to the journal, from where fold_measures adds it to the counters of each type and subscription: there may
be thousands, and a script that wrote to each would hold up all others.

A piece is {minute since 1970, records}. A record is {type, false, counts} of events; {type, number of the subscription,
counts, times} of deliveries; {false, false, {}, times} of how late the poller was.

Durations and waits are counted in buckets whose upper bounds are powers of two. They stand in one string a pair, 64-bit
numbers that one command adds to: sum of the waits in ms, sum of the durations in µs, then a number of waits for
each exponent from 0 to 27, then of durations for each from 0 to 35. As fields of a hash they cost three times as much.

Uses: prefix, now_ms, count
]]
-- A piece is folded as a whole, so it is kept small.
local most_records = 250

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

local function count_type(event_type, counts)
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
local function count_pairs(write_down)
  -- The letters are those of the lines of a record; besides, `o` for a delivery that is open from now on, and `r` for one
  -- that had ended and is open again.
  local totals = {
    o = "deliveries", s = "deliveries_succeeded", f = "retries", d = "deliveries_dead", x = "deliveries_expired",
    c = "deliveries_cancelled", r = "deliveries_redriven",
  }
  for event_type, numbers in pairs(of_pairs) do
    for number, measured in pairs(numbers) do
      for letter, by in pairs(measured.counts) do count(totals[letter], by) end
      write_down({ event_type, number, measured.counts, measured.times })
    end
  end
end

local function keep_measures()
  local journal, records = prefix .. ":metrics:journal", {}

  local function end_piece()
    if #records == 0 then return end
    redis.call("RPUSH", journal, cmsgpack.pack({ math.floor(now_ms / 60000), records }))
    records = {}
  end

  local function write_down(record)
    records[#records + 1] = record
    if #records == most_records then end_piece() end
  end

  if lateness then write_down({ false, false, {}, lateness }) end
  for event_type, counts in pairs(of_types) do
    count_type(event_type, counts)
    write_down({ event_type, false, counts })
  end
  if next(of_pairs) then count_pairs(write_down) end
  end_piece()
end
