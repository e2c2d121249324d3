--[[
  Benches keys for the whole fleet: one, and those that share its fate. An earlier, longer bench stands, with its
  reason. Requests that were under way together report the same limit: only the first of them is a strike, so running
  it twice harms nothing.

  KEYS[1] the benches (see take-key.lua)
  ARGV[1] reason
  ARGV[2] duration in milliseconds
  ARGV[3] double it for each strike up to this many milliseconds; 0: exactly the duration
  ARGV[4] most strikes that count
  ARGV[5] the channel on which replicas learn of it
  ARGV[6…] ids
  Returns how long the first is benched from now, in milliseconds.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function bench(id)
  local before = tonumber(redis.call('HGET', KEYS[1], id .. ':until') or 0)
  local strikes = tonumber(redis.call('HGET', KEYS[1], id .. ':strikes') or 0)
  if before <= now then
    strikes = math.min(strikes + 1, tonumber(ARGV[4]))
  end
  local duration, cap = tonumber(ARGV[2]), tonumber(ARGV[3])
  if cap > 0 then
    duration = math.min(duration * 2 ^ (strikes - 1), cap)
  end
  local bench_end, reason = now + duration, ARGV[1]
  if before >= bench_end then
    bench_end, reason = before, redis.call('HGET', KEYS[1], id .. ':reason') or reason
  end
  redis.call('HSET', KEYS[1], id .. ':until', string.format('%.0f', bench_end), id .. ':strikes', strikes, id .. ':reason', reason)
  redis.call('HDEL', KEYS[1], id .. ':trial')
  -- Strikes of a key that is never used again are forgotten with the rest.
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(bench_end - now + 86400000, redis.call('PTTL', KEYS[1]))))
  redis.call('PUBLISH', ARGV[5], cjson.encode({ id = id, state = 'cooling', reason = reason, remainingMs = bench_end - now }))
  return bench_end - now
end

local first = bench(ARGV[6])
for i = 7, #ARGV do
  bench(ARGV[i])
end
return first
