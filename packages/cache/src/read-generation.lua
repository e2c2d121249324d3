--[[
  The generation; made on first use from the server's time, so that a server that lost its data never hands out a
  number that was used before.

  KEYS[1] the generation
  ARGV[1] how long it is kept without being read, in milliseconds
  Returns the generation.
]]
local generation = redis.call('GET', KEYS[1])
if not generation then
  local time = redis.call('TIME')
  generation = string.format('%d%03d', time[1], math.floor(time[2] / 1000))
end
redis.call('SET', KEYS[1], generation, 'PX', ARGV[1])
return generation
