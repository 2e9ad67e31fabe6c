--[[
begin_era: let the version of the set of subscriptions go on in another era: Redis has lost data.

The version counts changes, so after as many new ones as were lost it would be what it was, and say nothing. Whoever sees
the loss lets it go on where nobody has been before; all that know an earlier one see the loss by that. Several may call
at once.

KEYS
  1  prefix of the bus
     Reads and writes below it: subscriptions:version
ARGV
  1  first  the first version of that era
RETURNS
  1 when it begins with this call, 0 when it has begun already
]]
local version = KEYS[1] .. ":subscriptions:version"

redis.call("DEL", KEYS[1] .. ":scratch")
if tonumber(redis.call("GET", version) or "0") >= tonumber(ARGV[1]) then return 0 end
redis.call("SET", version, string.format("%.0f", tonumber(ARGV[1])))
return 1
