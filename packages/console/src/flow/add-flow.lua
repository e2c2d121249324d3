-- Notes what one replica has counted in one minute, as sums, so that it may be said twice.
-- KEYS[1] the minute: a hash of replica -> counts as JSON
-- ARGV    the replica, its counts, how long the minute is kept (ms)
-- Returns nothing.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
