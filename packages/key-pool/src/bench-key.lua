--[[
  Benches keys for the whole fleet, as a whole or for one product: one, and those that share its fate. An earlier,
  longer bench stands, with its reason. Requests that were under way together report the same limit: only the first of
  them is a strike, so running it twice harms nothing. Strikes of the key as a whole count for each of its products; the
  release before products kept no others. A bench for a product ends the trial of the whole key without a result.

  KEYS[1] the benches (see take-key.lua)
  KEYS[2] the lessons (see take-key.lua)
  ARGV[1] reason
  ARGV[2] duration in milliseconds
  ARGV[3] double it for each strike up to this many milliseconds; 0: exactly the duration
  ARGV[4] most strikes that count
  ARGV[5] the channel on which replicas learn of it
  ARGV[6] the product, or ''
  ARGV[7] the status that upstream answered, or ''
  ARGV[8…] ids
  Returns how long the first is benched from now, in milliseconds.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local product = ARGV[6] ~= '' and ARGV[6] or nil

local function bench(id)
  local scope = product and id .. '/' .. product or id
  local before = tonumber(redis.call('HGET', KEYS[1], scope .. ':until') or 0)
  local strikes = tonumber(redis.call('HGET', KEYS[1], scope .. ':strikes') or 0)
  if before <= now then
    if product then
      strikes = math.max(strikes, tonumber(redis.call('HGET', KEYS[1], id .. ':strikes') or 0))
    end
    strikes = math.min(strikes + 1, tonumber(ARGV[4]))
  end
  local duration, cap = tonumber(ARGV[2]), tonumber(ARGV[3])
  if cap > 0 then
    duration = math.min(duration * 2 ^ (strikes - 1), cap)
  end
  local bench_end, reason, status = now + duration, ARGV[1], ARGV[7]
  if before >= bench_end then
    bench_end, reason = before, redis.call('HGET', KEYS[1], scope .. ':reason') or reason
    status = redis.call('HGET', KEYS[1], scope .. ':status') or ''
  end
  redis.call('HSET', KEYS[1], scope .. ':until', string.format('%.0f', bench_end), scope .. ':strikes', strikes, scope .. ':reason', reason)
  if status == '' then
    redis.call('HDEL', KEYS[1], scope .. ':trial', scope .. ':status')
  else
    redis.call('HSET', KEYS[1], scope .. ':status', status)
    redis.call('HDEL', KEYS[1], scope .. ':trial')
  end
  if product then
    redis.call('HDEL', KEYS[1], id .. ':trial')
    redis.call('HDEL', KEYS[2], scope .. ':learning')
  end
  -- Strikes of a key that is never used again are forgotten with the rest.
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(bench_end - now + 86400000, redis.call('PTTL', KEYS[1]))))
  local change = { id = id, product = product, state = 'cooling', reason = reason, remainingMs = bench_end - now, status = tonumber(status) }
  redis.call('PUBLISH', ARGV[5], cjson.encode(change))
  return bench_end - now
end

local first = bench(ARGV[8])
for i = 9, #ARGV do
  bench(ARGV[i])
end
return first
