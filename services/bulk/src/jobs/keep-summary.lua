--[[
  Keeps the summary of a job that has ended, in place of those of its chunks.

  KEYS[1] the job (hash), KEYS[2] its summaries
  ARGV[1] the summary, packed
  Returns 1, or 0 when the job is gone.
]]
local ttl = redis.call('PTTL', KEYS[1])
if ttl <= 0 then
  return 0
end
redis.call('UNLINK', KEYS[2])
redis.call('HSET', KEYS[2], 'all', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ttl)
redis.call('HSET', KEYS[1], 'stored:summaries', #ARGV[1])
return 1
