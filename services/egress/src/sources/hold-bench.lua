--[[
  Keeps an address away for the whole fleet. An earlier, longer bench stands, so running it twice harms nothing.

  KEYS[1] a sorted set of what is benched by its end (milliseconds since 1970)
  ARGV[1] what is benched
  ARGV[2] for how long, in milliseconds
  ARGV[3] most that are kept; those that end first are forgotten
  ARGV[4] the channel on which replicas learn of it
  ARGV[5] what kind of bench it is, for them
  Returns how long it is benched from now, in milliseconds.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
local bench_end = math.max(before, now + tonumber(ARGV[2]))
redis.call('ZADD', KEYS[1], string.format('%.0f', bench_end), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -tonumber(ARGV[3]) - 1)
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(bench_end - now, redis.call('PTTL', KEYS[1]))))
local remaining = bench_end - now
redis.call('PUBLISH', ARGV[4], cjson.encode({ kind = ARGV[5], member = ARGV[1], remainingMs = remaining }))
return remaining
