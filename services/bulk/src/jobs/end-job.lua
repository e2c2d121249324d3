--[[
  Cancels a job that has not ended. Its results stay until they expire. Time is the server's.

  KEYS[1] the job (hash), KEYS[2] its inputs, KEYS[3] its results, KEYS[4] its chunks, KEYS[5] the lengths,
  KEYS[6] its summaries
  ARGV[1] how long it can still be read, in milliseconds
  ARGV[2] the channel of changes, ARGV[3] the job's id
  ARGV[4] the channel of jobs that no worker is to work on any more
  Returns 1, or 0 when it was not under way.
]]
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'queued' and state ~= 'running' and state ~= 'receiving' then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

redis.call('HSET', KEYS[1], 'state', 'cancelled', 'finished', now, 'expires', now + ARGV[1], 'stored:inputs', 0)
redis.call('HDEL', KEYS[1], 'waiting')
redis.call('UNLINK', KEYS[2])
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ARGV[1])
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[3])
return 1
