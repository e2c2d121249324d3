--[[
  Ends a try, and says when the next one is due. Without effect if another replica has the lease by now.

  KEYS[1]: as in claim-renewal.lua. ARGV: holder; pause before the next try (ms); the version that there is, or empty.
  Returns 1 if it had an effect, else 0.
]]
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HDEL', KEYS[1], 'holder', 'until')
redis.call('HSET', KEYS[1], 'next', string.format('%.0f', now + ARGV[2]))
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], 'version', ARGV[3])
end
return 1
