--[[
remove_subscription: end a subscription, or let one process leave it, which ends it when that was the last.

One that is persistent ends only where nobody is said to leave it, though it was mortal when its hosts declared it: a
deploy may have made it persistent meanwhile.

Events dispatched from now on pass it by. Its open deliveries are cancelled by whoever settles what has ended; until
that is done it is listed as ended, so a crash in between leaves it to the next process.

KEYS
  1  prefix of the bus
     Reads and writes below it: subscriptions, subscriptions:rows, subscriptions:version, subscriptions:ended, subscriptions:hosts:<name>,
     subscriptions:states, subscriptions:open, subscriptions:unhosted, gate:<name>, slots:<name>, releases, processes,
     settling:<name>
ARGV
  1  name
  2  host      the process that leaves, "-" for nobody: it then ends if no host is alive; empty: it ends in any case.
               A host is alive until its lease was ended, as beat.lua has it: one that is merely overdue may be renewed,
               and whose it is would never learn that it has to declare anew
RETURNS
  1 when it has ended, 0 when others host it, when it outlives its hosts, or when there was none
]]
local prefix, name, host = KEYS[1], ARGV[1], ARGV[2]
local rows, hosts = prefix .. ":subscriptions", prefix .. ":subscriptions:hosts:" .. name

-- include: note_row

local row = redis.call("HGET", rows, name)
if host ~= "" then
  redis.call("SREM", hosts, host)
  for _, process in ipairs(redis.call("SMEMBERS", hosts)) do
    local lease_end = redis.call("ZSCORE", prefix .. ":processes", process)
    if lease_end and tonumber(lease_end) > 0 then return 0 end
  end
end
if not row then return 0 end
local declared = cjson.decode(row)
if host ~= "" and declared.persistent then return 0 end
redis.call("DEL", hosts, prefix .. ":gate:" .. name, prefix .. ":slots:" .. name)
-- How far the cancelling had come says nothing of what was given to it since then.
redis.call("DEL", prefix .. ":settling:" .. name)
for _, kept in ipairs({ "states", "open", "unhosted" }) do redis.call("HDEL", rows .. ":" .. kept, name) end
redis.call("ZREM", prefix .. ":releases", name)
redis.call("HDEL", rows, name)
note_row(name, "")
redis.call("INCR", rows .. ":version")
-- Nobody said that it is over: its process is replaced perhaps, and declares it anew. Then what stands on a queue that it
-- shared is that one's, so whoever settles this is told of no queue. Those of one made at run time begin with `run.`.
local is_left = host ~= "" and string.sub(declared.queue, 1, 4) ~= "run."
redis.call("HSET", rows .. ":ended", name, is_left and "" or declared.queue)
return 1
