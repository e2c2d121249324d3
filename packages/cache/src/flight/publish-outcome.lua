--[[
  Publishes the outcome of a load, if the lease is still the caller's own: a holder that was paused past its lease
  thus overwrites nothing newer. Safe to run twice.

  KEYS[1] the lease
  KEYS[2] the outcome
  ARGV[1] the caller's lease token
  ARGV[2] the outcome's bytes
  ARGV[3] how long the outcome is kept, in milliseconds
  ARGV[4] the channel on which others wait
  Returns 1 when published, 0 when the lease was lost.
]]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[4], '')
return 1
