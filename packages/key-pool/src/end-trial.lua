--[[
  Ends the trial of a key, as a whole and for products. What was benched again meanwhile stays benched. Safe to run twice.

  Arguments: id, products, and hasRecovered: the key is good again; if not, nothing was learnt, and the next request
  tries it.
]]
local function end_trial(product)
  local scope = scope_of(given.id, product)
  local bench_end = number_at(benches_key, scope .. ':until')
  if bench_end == 0 or bench_end > now then
    return
  end
  redis.call('HDEL', benches_key, scope .. ':trial')
  if given.hasRecovered then
    redis.call('HDEL', benches_key, scope .. ':until', scope .. ':strikes', scope .. ':reason', scope .. ':status')
  end
  publish({ id = given.id, product = product, state = given.hasRecovered and 'active' or 'trial' })
end

end_trial()
for _, product in ipairs(given.products) do
  end_trial(product)
  redis.call('HDEL', lessons_key, scope_of(given.id, product) .. ':learning')
end
