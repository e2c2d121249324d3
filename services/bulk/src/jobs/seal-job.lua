--[[
  All of a job has come in: it is queued, and can be seen.

  KEYS[1] the job (hash), KEYS[2] its inputs, KEYS[3] its chunks
  KEYS[4] the ids of all jobs (sorted set), KEYS[5] those of its owner
  ARGV[1] how long it may stay without progress, in milliseconds
  ARGV[2] its id
  ARGV[3] the fingerprint of its body
  Returns 1, or 0 when the job is gone.
]]
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return 0
end
if state == 'receiving' then
  redis.call('HSET', KEYS[1], 'state', 'queued', 'fingerprint', ARGV[3])
  redis.call('ZADD', KEYS[4], 0, ARGV[2])
  redis.call('ZADD', KEYS[5], 0, ARGV[2])
  for index = 1, 5 do
    redis.call('PEXPIRE', KEYS[index], ARGV[1])
  end
end
return 1
