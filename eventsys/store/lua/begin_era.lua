--[[
begin_era: let the version of the set of subscriptions go on in another era: Redis has lost data.

The version counts changes, so after as many new ones as were lost it would be what it was, and say nothing. Whoever sees
the loss lets it go on where nobody has been before; all that know an earlier one see the loss by that leap. Several may
call at once. An era that is lost as well is not begun once more by those who had not seen it: it is the time by now that
tells where one begins. No version comes near 2^53, up to which Lua counts exactly, before the year 2255.

KEYS
  1  prefix of the bus
     Reads and writes below it: subscriptions:version
ARGV
  1  known    the newest version that the caller knows
  2  leap     how far the version has to be ahead of that one, so that the loss is seen
  3  now_us   real time, in microseconds since 1970
RETURNS
  1 when an era begins with this call, 0 when one has begun already that the caller did not know
]]
local version = KEYS[1] .. ":subscriptions:version"
local least = tonumber(ARGV[1]) + tonumber(ARGV[2])

redis.call("DEL", KEYS[1] .. ":scratch")
if tonumber(redis.call("GET", version) or "0") >= least then return 0 end
redis.call("SET", version, string.format("%.0f", math.max(least, tonumber(ARGV[3]))))
return 1
