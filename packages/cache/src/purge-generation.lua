--[[
  A new generation: every answer stored so far is forgotten. Running it twice forgets twice, which harms nothing.

  KEYS[1] the generation
  ARGV[1] how long it is kept without being read, in milliseconds
  ARGV[2] the channel on which replicas learn of it
  Returns the new generation.
]]
local time = redis.call('TIME')
local now = string.format('%d%03d', time[1], math.floor(time[2] / 1000))
local before = redis.call('GET', KEYS[1])
-- Twice within a millisecond, or after the server's clock was set back: still a new number.
if before and tonumber(before) >= tonumber(now) then
  now = string.format('%d', tonumber(before) + 1)
end
redis.call('SET', KEYS[1], now, 'PX', ARGV[1])
redis.call('PUBLISH', ARGV[2], now)
return now
