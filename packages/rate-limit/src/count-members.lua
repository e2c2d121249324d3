--[[
  Says that a member is there, and counts those that have said so lately.

  KEYS[1] the members: a sorted set of names by when they were last heard of (ms since 1970)
  ARGV[1] the member's name
  ARGV[2] how long one is counted after it was last heard of, in milliseconds; 0: this one leaves
  Returns how many there are.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local life = tonumber(ARGV[2])
if life == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], now, ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - life)
  redis.call('PEXPIRE', KEYS[1], life)
end
return redis.call('ZCARD', KEYS[1])
