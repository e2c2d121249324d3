--[[
  Adds the next chunk of a job that is coming in, or none. Running it twice adds it once.

  KEYS[1] the job (hash)
  KEYS[2] the inputs (hash: number of the chunk → inputs)
  KEYS[3] the chunks (list of line counts)
  ARGV[1] how long the job may stay without anything coming in, in milliseconds
  ARGV[2] the number of the chunk; without it, the job only stays
  ARGV[3] its lines
  ARGV[4] its inputs, packed
  Returns 1, or 0 when the job is gone.
]]
if redis.call('HGET', KEYS[1], 'state') ~= 'receiving' then
  return 0
end
if ARGV[2] and redis.call('HSET', KEYS[2], ARGV[2], ARGV[4]) == 1 then
  redis.call('RPUSH', KEYS[3], ARGV[3])
  redis.call('HINCRBY', KEYS[1], 'lines', ARGV[3])
  redis.call('HINCRBY', KEYS[1], 'chunks', 1)
  redis.call('HINCRBY', KEYS[1], 'stored:inputs', #ARGV[4])
end
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ARGV[1])
end
return 1
