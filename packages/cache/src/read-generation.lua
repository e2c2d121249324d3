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
  redis.call('SET', KEYS[1], generation, 'PX', ARGV[1])
elseif redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) / 2 then
  -- Seldom, so that a server that takes no writes now (full, a replica) can still be asked.
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return generation
