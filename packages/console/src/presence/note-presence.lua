-- Notes that a process is there. An hour after it was seen last it is forgotten.
-- KEYS[1] a sorted set: the ids by when they were seen last (ms since 1970, by Redis)
-- KEYS[2] what it says of itself
-- ARGV    the id, its record as JSON, how long it is remembered (ms)
-- Returns nothing.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now - ARGV[3])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
