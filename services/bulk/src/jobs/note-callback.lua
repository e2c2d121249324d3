--[[
  How telling the end of a job goes.

  KEYS[1] the job (hash)
  ARGV[1] the channel of changes, ARGV[2] the job's id
  ARGV[3] the state, ARGV[4] the attempts made, ARGV[5] why the last one failed, or ''
  Returns 1, or 0 when the job is gone.
]]
if redis.call('HEXISTS', KEYS[1], 'callback:url') == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'callback:state', ARGV[3], 'callback:attempts', ARGV[4], 'callback:reason', ARGV[5])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
