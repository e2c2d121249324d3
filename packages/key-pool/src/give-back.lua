--[[
  Gives back what was counted for a request that upstream refused as a whole, and for which it charges nothing. What was
  ever taken stays as it is: it only grows. Running it twice gives back twice, until upstream says again what is left.

  Arguments: id, products, units.
]]
local scopes = { given.id }
for _, name in ipairs(given.products) do
  table.insert(scopes, scope_of(given.id, name))
end
for _, scope in ipairs(scopes) do
  for _, source in ipairs({ 'account', 'reply' }) do
    local slot = scope .. ':' .. source
    if number_at(quotas_key, slot .. ':until') > now then
      local left = number_at(quotas_key, slot .. ':left') + given.units
      local limit = tonumber(redis.call('HGET', quotas_key, slot .. ':limit') or nil)
      redis.call('HSET', quotas_key, slot .. ':left', digits(math.min(left, limit or left)))
    end
  end
end
if number_at(turns_key, given.id .. ':day') == math.floor(now / day_ms) then
  local today = number_at(turns_key, given.id .. ':today') - given.units
  redis.call('HSET', turns_key, given.id .. ':today', digits(math.max(0, today)))
end
