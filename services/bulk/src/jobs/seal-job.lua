--[[
  All of a job has come in: it is queued, and can be seen.

  KEYS[1] the job (hash), KEYS[2] its inputs, KEYS[3] its chunks
  ARGV[1] how long it may stay without progress, in milliseconds
  ARGV[2] the fingerprint of its body
  Returns 1, or 0 when the job is gone.
]]
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return 0
end
if state == 'receiving' then
  redis.call('HSET', KEYS[1], 'state', 'queued', 'fingerprint', ARGV[2])
  for index = 1, 3 do
    redis.call('PEXPIRE', KEYS[index], ARGV[1])
  end
end
return 1
