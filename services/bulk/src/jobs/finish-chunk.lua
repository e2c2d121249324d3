--[[
  Keeps the results of a chunk and counts them, unless there are some already: however often a chunk is worked on, it
  has one result. The last one completes the job. Time is the server's.

  The rate is taken between marks, which are set every five seconds: lines since the mark before the last one.

  KEYS[1] the job (hash), KEYS[2] its inputs, KEYS[3] its results, KEYS[4] its chunks, KEYS[5] the lengths,
  KEYS[6] its summaries
  ARGV[1] how long it may stay without progress, ARGV[2] how long when it is completed, both in milliseconds
  ARGV[3] the channel of changes, ARGV[4] the job's id
  ARGV[5] the number of the chunk, ARGV[6] its results and ARGV[7] their summary, packed
  ARGV[8] bytes of its results, unpacked; ARGV[9] lines, ARGV[10] answered, ARGV[11] cached
  ARGV[12…] error codes, each followed by its count
  Returns 'stored', 'completed', 'known' or 'gone'.
]]
local job, inputs, results, lengths = KEYS[1], KEYS[2], KEYS[3], KEYS[5]
local index = ARGV[5]
local state = redis.call('HGET', job, 'state')
if redis.call('HEXISTS', results, index) == 1 then
  return 'known'
end
if state ~= 'running' and state ~= 'queued' then
  return 'gone'
end

redis.call('HSET', results, index, ARGV[6])
redis.call('HSET', lengths, index, ARGV[8])
redis.call('HSET', KEYS[6], index, ARGV[7])
redis.call('HINCRBY', job, 'stored:results', #ARGV[6])
redis.call('HINCRBY', job, 'stored:summaries', #ARGV[7])
redis.call('HINCRBY', job, 'stored:inputs', -redis.call('HSTRLEN', inputs, index))
redis.call('HDEL', inputs, index)

redis.call('HDEL', job, 'waiting')
local errors = 0
for at = 12, #ARGV, 2 do
  errors = errors + ARGV[at + 1]
  redis.call('HINCRBY', job, 'error:' .. ARGV[at], ARGV[at + 1])
end
redis.call('HINCRBY', job, 'answered', ARGV[10])
redis.call('HINCRBY', job, 'cached', ARGV[11])
redis.call('HINCRBY', job, 'errors', errors)
local done_lines = redis.call('HINCRBY', job, 'done', ARGV[9])
local done_chunks = redis.call('HINCRBY', job, 'chunks:done', 1)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mark_ms, mark_done = unpack(redis.call('HMGET', job, 'mark:ms', 'mark:done'))
if now - (mark_ms or 0) >= 5000 then
  redis.call('HSET', job, 'before:ms', mark_ms or now, 'before:done', mark_done or 0)
  redis.call('HSET', job, 'mark:ms', now, 'mark:done', done_lines)
end
redis.call('HSET', job, 'moved', now)

local completed = done_chunks == tonumber(redis.call('HGET', job, 'chunks'))
local ttl = ARGV[1]
if completed then
  ttl = ARGV[2]
  redis.call('HSET', job, 'state', 'completed', 'finished', now, 'expires', now + ttl)
end
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ttl)
end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return completed and 'completed' or 'stored'
