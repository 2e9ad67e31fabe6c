--[[
fold_counters: add what was counted of the deliveries to subscriptions that are gone for good to what is counted of all
such, type by type, and drop their own counters.

Nothing is lost of a type or of the totals, and no more pairs are measured than before: one takes the place of another.

Uses: prefix
]]
-- Numbers in a string of times; `measure` says which they are.
local places_of_times = 66

local function fold_times(from, to)
  local times = prefix .. ":metrics:times:"
  if redis.call("EXISTS", times .. from) == 0 then return end
  local asked, added = {}, {}
  for place = 0, places_of_times - 1 do
    for _, part in ipairs({ "GET", "i64", "#" .. place }) do asked[#asked + 1] = part end
  end
  for at, number in ipairs(redis.call("BITFIELD", times .. from, unpack(asked))) do
    if number > 0 then
      for _, part in ipairs({ "INCRBY", "i64", "#" .. at - 1, string.format("%.0f", number) }) do added[#added + 1] = part end
    end
  end
  if #added > 0 then redis.call("BITFIELD", times .. to, unpack(added)) end
  redis.call("DEL", times .. from)
end

local function fold_pair(event_type, pair)
  local counts, registry, to = prefix .. ":metrics:delivery:", prefix .. ":metrics:deliveries", event_type .. ":0"
  local fields = redis.call("HGETALL", counts .. pair)
  for at = 1, #fields, 2 do redis.call("HINCRBY", counts .. to, fields[at], fields[at + 1]) end
  fold_times(pair, to)
  redis.call("DEL", counts .. pair)
  redis.call("SREM", registry, pair)
  redis.call("SADD", registry, to)
end

-- `numbers` is a set. The pairs are looked through as a whole, some thousand at most; a subscription goes for good once in
-- a long while. Of more than `most` pairs some stay for the next time: each takes some 30 µs. Returns a set of the numbers
-- of those.
local function fold_counters(numbers, most)
  local left = {}
  if not next(numbers) then return left end
  for _, pair in ipairs(redis.call("SMEMBERS", prefix .. ":metrics:deliveries")) do
    local event_type, number = string.match(pair, "^(.*):(%d+)$")
    if numbers[number] and most > 0 then
      fold_pair(event_type, pair)
      most = most - 1
    elseif numbers[number] then
      left[number] = true
    end
  end
  return left
end
