--[[
  Benches keys for the whole fleet, as a whole or for one product: one, and those that share its fate. An earlier,
  longer bench stands, with its reason. Requests that were under way together report the same limit: only the first of
  them that is certain is a strike, so running it twice harms nothing. Strikes of the key as a whole count for each of
  its products; the release before products kept no others. A bench for a product ends the trial of the whole key
  without a result.

  Arguments: a Bench (key-store.ts), and maxStrikes.
  Returns how long the first is benched from now, in milliseconds.
]]
local product = given.product

local function bench(id)
  local scope = scope_of(id, product)
  local before, strikes = number_at(benches_key, scope .. ':until'), number_at(benches_key, scope .. ':strikes')
  if before <= now or strikes == 0 then
    if product then
      strikes = math.max(strikes, number_at(benches_key, id .. ':strikes'))
    end
    strikes = math.min(strikes + (given.isProvisional and 0 or 1), given.maxStrikes)
  end
  local duration = given.durationMs
  if given.doublingUpToMs then
    duration = math.min(duration * 2 ^ (strikes - 1), given.doublingUpToMs)
  end
  local bench_end, reason, status = now + math.ceil(duration), given.reason, given.status
  if before >= bench_end then
    bench_end, reason = before, redis.call('HGET', benches_key, scope .. ':reason') or reason
    status = tonumber(redis.call('HGET', benches_key, scope .. ':status') or nil)
  end
  redis.call('HDEL', benches_key, scope .. ':trial', scope .. ':status')
  redis.call('HSET', benches_key, scope .. ':until', digits(bench_end), scope .. ':strikes', strikes, scope .. ':reason', reason)
  if status then
    redis.call('HSET', benches_key, scope .. ':status', status)
  end
  if product then
    redis.call('HDEL', benches_key, id .. ':trial')
    redis.call('HDEL', lessons_key, scope .. ':learning')
  end
  keep(benches_key, bench_end - now + day_ms)
  publish({ id = id, product = product, state = 'cooling', reason = reason, remainingMs = bench_end - now, status = status })
  return bench_end - now
end

local first = bench(given.id)
for _, id in ipairs(given.peers or {}) do
  bench(id)
end
return digits(first)
