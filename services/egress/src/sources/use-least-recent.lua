--[[
  Uses the source that was used least recently. Sources that were never used come first. Run twice, it uses two.

  KEYS[1] a sorted set of the sources' numbers by their last use (microseconds since 1970; 0: never)
  ARGV[1] how many sources there are: they are numbered from 0
  ARGV[2] for how long uses are remembered, in milliseconds
  ARGV[3…] those that cannot be used now; not all
  Returns the number of the source.
]]
local size = tonumber(ARGV[1])
if redis.call('ZCARD', KEYS[1]) < size then
  for number = 0, size - 1 do
    redis.call('ZADD', KEYS[1], 'NX', 0, number)
  end
end
local unusable = {}
for i = 3, #ARGV do
  unusable[ARGV[i]] = true
end
-- One more than are left out, so that one is left.
for _, number in ipairs(redis.call('ZRANGE', KEYS[1], 0, #ARGV - 2)) do
  if not unusable[number] then
    local time = redis.call('TIME')
    local latest = tonumber(redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2])
    local now = math.max(time[1] * 1000000 + time[2], latest + 1)
    redis.call('ZADD', KEYS[1], string.format('%.0f', now), number)
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return tonumber(number)
  end
end
return -1
