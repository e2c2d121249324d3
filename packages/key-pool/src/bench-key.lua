--[[
  Benches a key for the whole fleet. An earlier, longer bench stands. Requests that were under way together report the
  same limit: only the first of them is a strike, so running it twice harms nothing.

  KEYS[1] the benches (see take-key.lua)
  ARGV[1] id
  ARGV[2] reason
  ARGV[3] duration in milliseconds
  ARGV[4] double it for each strike up to this many milliseconds; 0: exactly the duration
  ARGV[5] most strikes that count
  ARGV[6] the channel on which replicas learn of it
  Returns how long the key is benched from now, in milliseconds.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local id = ARGV[1]
local before = tonumber(redis.call('HGET', KEYS[1], id .. ':until') or 0)
local strikes = tonumber(redis.call('HGET', KEYS[1], id .. ':strikes') or 0)
if before <= now then
  strikes = math.min(strikes + 1, tonumber(ARGV[5]))
end
local duration, cap = tonumber(ARGV[3]), tonumber(ARGV[4])
if cap > 0 then
  duration = math.min(duration * 2 ^ (strikes - 1), cap)
end
local bench_end = math.max(before, now + duration)
redis.call('HSET', KEYS[1], id .. ':until', string.format('%d', bench_end), id .. ':strikes', strikes, id .. ':reason', ARGV[2])
redis.call('HDEL', KEYS[1], id .. ':trial')
-- Strikes of a key that is never used again are forgotten with the rest.
redis.call('PEXPIRE', KEYS[1], math.max(bench_end - now + 86400000, redis.call('PTTL', KEYS[1])))
redis.call('PUBLISH', ARGV[6], cjson.encode({ id = id, state = 'cooling', reason = ARGV[2], remainingMs = bench_end - now }))
return bench_end - now
