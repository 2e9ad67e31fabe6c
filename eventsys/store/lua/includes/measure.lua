--[[
measure: count what happens to events by their type, and to deliveries by type and subscription. `keep_counts` writes it.

This is on the path of every delivery, so it only adds to tables. Once a script the totals of the bus are kept, and all else
goes as one piece to the journal, from where fold_measures adds it to the counters of each type and subscription: there may
be thousands, and a script that wrote to each would hold up all others.

A piece is {minute since 1970, records}. A record is {false, what, counts} of events to which that happened, by their type;
{type, number of the subscription, counts, times} of deliveries; {false, false, {}, times} of how late the poller was.

Whoever ends or dispatches many deliveries has their records ready, for the case that nothing goes otherwise: where each is
of another type, to make them here costs as much as all the rest of a delivery.

Durations and waits are counted in buckets whose upper bounds are powers of two. They stand in one string a pair, 64-bit
numbers that one command adds to: sum of the waits in ms, sum of the durations in µs, then a number of waits for
each exponent from 0 to 27, then of durations for each from 0 to 35. As fields of a hash they cost three times as much.

Uses: prefix, now_ms, count
]]
-- A piece is folded as a whole, so it is kept small. Each type counts as a record.
local most_records = 250

local frexp = math.frexp
local happened, of_pairs, ready, lateness = {}, {}, {}, nil

local function count_event(event_type, what)
  local counts = happened[what]
  if not counts then
    counts = {}
    happened[what] = counts
  end
  event_type = event_type or "*"
  counts[event_type] = (counts[event_type] or 0) + 1
end

local function measured_of(event_type, number)
  local of_type = of_pairs[event_type]
  if not of_type then
    of_type = {}
    of_pairs[event_type] = of_type
  end
  local measured = of_type[number]
  if not measured then
    measured = { counts = {}, times = { [0] = 0, [1] = 0 } }
    of_type[number] = measured
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

-- Counts so many deliveries to which the same happened. `lists` has records of them, ready: msgpack of up to `most_records`.
local function count_ready(total, many, lists)
  count(total, many)
  for _, records in ipairs(lists) do ready[#ready + 1] = records end
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

-- include: of_system
local totals_of_system = {
  published = { "system_events", 1 }, reopened = { "system_ended_events", -1 }, delivered = { "system_ended_events", 1 },
  failed = { "system_ended_events", 1 }, expired = { "system_ended_events", 1 }, cancelled = { "system_ended_events", 1 },
}

local function write_in_parts(what, counts, write_down)
  local part, parts = {}, 0
  for event_type, by in pairs(counts) do
    part[event_type], parts = by, parts + 1
    if parts == most_records then
      write_down({ false, what, part }, parts)
      part, parts = {}, 0
    end
  end
  if parts > 0 then write_down({ false, what, part }, parts) end
end

local function count_happened(what, counts, write_down)
  local types, many, many_of_system = 0, 0, 0
  for event_type, by in pairs(counts) do
    types = types + 1
    if is_of_system(event_type) then many_of_system = many_of_system + by else many = many + by end
  end
  if types > most_records then write_in_parts(what, counts, write_down) else write_down({ false, what, counts }, types) end
  count(what == "published" and "total_events" or what .. "_events", many)
  local total = totals_of_system[what]
  if total then count(total[1], many_of_system * total[2]) end
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
  local pieces, records, size = {}, {}, 0

  local function end_piece()
    if size == 0 then return end
    pieces[#pieces + 1] = cmsgpack.pack({ math.floor(now_ms / 60000), records })
    records, size = {}, 0
  end

  local function write_down(record, types)
    records[#records + 1] = record
    size = size + (types or 1)
    if size >= most_records then end_piece() end
  end

  if lateness then write_down({ false, false, {}, lateness }) end
  for what, counts in pairs(happened) do count_happened(what, counts, write_down) end
  if next(of_pairs) then count_pairs(write_down) end
  end_piece()
  -- As the list of two that it would be, had it been made here.
  for _, list in ipairs(ready) do pieces[#pieces + 1] = "\146" .. cmsgpack.pack(math.floor(now_ms / 60000)) .. list end
  if #pieces > 0 then redis.call("RPUSH", prefix .. ":metrics:journal", unpack(pieces)) end
end
