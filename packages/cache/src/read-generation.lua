--[[
  The generation. A server that has lost its data is told by those who still know: what they hold in memory stays good.
  Where no replica knows, it is made from the server's time, so that no number is handed out that was used before.

  KEYS[1] the generation
  ARGV[1] how long it is kept without being read, in milliseconds
  ARGV[2] the generation that the caller knows, or ''
  ARGV[3] the channel on which replicas learn of a new one
  Returns the generation.
]]
local generation = redis.call('GET', KEYS[1])
local known = ARGV[2]
if not generation then
  local time = redis.call('TIME')
  generation = known ~= '' and known or string.format('%d%03d', time[1], math.floor(time[2] / 1000))
  redis.call('SET', KEYS[1], generation, 'PX', ARGV[1])
elseif known ~= '' and tonumber(known) > tonumber(generation) then
  -- The first to ask after the loss had missed a purge.
  generation = known
  redis.call('SET', KEYS[1], generation, 'PX', ARGV[1])
  redis.call('PUBLISH', ARGV[3], generation)
elseif redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) / 2 then
  -- Seldom, so that a server that takes no writes now (full, a replica) can still be asked.
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return generation
