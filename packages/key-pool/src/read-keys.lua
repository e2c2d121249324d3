--[[
  The state of keys, and what is known of their quotas.

  Arguments: keys {id, pays, maxPerDay} as take-key.lua has them.
  Returns for each {state, a KeyState (key-store.ts); quota, a KeyQuota (quota.ts)}, as JSON.
]]
local function quota_of(scope, source)
  local slot = scope .. ':' .. source
  local left, limit, total, ends =
    unpack(redis.call('HMGET', quotas_key, slot .. ':left', slot .. ':limit', slot .. ':total', slot .. ':until'))
  if tonumber(ends or 0) > now then
    left, total = tonumber(left), tonumber(total or nil)
    local used = total and math.max(0, total - left)
    return { remaining = left, limit = tonumber(limit or nil), used = used, resetMs = tonumber(ends) - now }
  end
end

local function state_of(key, quota, today)
  local id = key.id
  local ends, reason = unpack(redis.call('HMGET', benches_key, id .. ':until', id .. ':reason'))
  local empty = 0
  if key.maxPerDay and today + 1 > key.maxPerDay then
    empty = day_ms - now % day_ms
  end
  for _, source in ipairs({ 'account', 'reply' }) do
    if not key.pays and quota[source] and quota[source].remaining < 1 then
      empty = math.max(empty, quota[source].resetMs)
    end
  end
  if ends and tonumber(ends) > now then
    return { id = id, state = 'cooling', reason = reason, remainingMs = tonumber(ends) - now }
  elseif empty > 0 then
    return { id = id, state = 'cooling', reason = 'exhausted', remainingMs = empty }
  end
  return { id = id, state = ends and 'trial' or 'active', reason = ends and reason or nil }
end

local rows, row_of = {}, {}
for i, key in ipairs(given.keys) do
  local id = key.id
  local taken, overage, day, today =
    unpack(redis.call('HMGET', turns_key, id .. ':taken', id .. ':overage', id .. ':day', id .. ':today'))
  local of_today = tonumber(day or 0) == math.floor(now / day_ms) and tonumber(today) or 0
  local quota = { id = id, taken = tonumber(taken or 0), overage = tonumber(overage or nil) }
  quota.account, quota.reply = quota_of(id, 'account'), quota_of(id, 'reply')
  rows[i] = { state = state_of(key, quota, of_today), quota = quota }
  row_of[id] = rows[i]
end

local function values_at(key)
  local flat, value_at = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do
    value_at[flat[i]] = flat[i + 1]
  end
  return value_at
end

-- By key and product: of several reasons the longest.
local resting = {}
local function rests(id, product, reason, ends)
  local left = tonumber(ends or 0) - now
  local scope = scope_of(id, product)
  if row_of[id] and left > 0 and (not resting[scope] or resting[scope].remainingMs < left) then
    resting[scope] = { product = product, reason = reason, remainingMs = left }
  end
end

local benches = values_at(benches_key)
for field, ends in pairs(benches) do
  local id, product = string.match(field, '^([^/:]+)/(.+):until$')
  if id then
    rests(id, product, benches[scope_of(id, product) .. ':reason'] or 'limited', ends)
  end
end
local quotas = values_at(quotas_key)
for field, left in pairs(quotas) do
  local id, product, source = string.match(field, '^([^/:]+)/(.+):(%a+):left$')
  if id and tonumber(left) < 1 then
    rests(id, product, 'exhausted', quotas[scope_of(id, product) .. ':' .. source .. ':until'])
  end
end
for scope, product in pairs(resting) do
  local state = row_of[string.match(scope, '^[^/]+')].state
  state.products = state.products or {}
  table.insert(state.products, product)
end
for _, row in ipairs(rows) do
  if row.state.products then
    table.sort(row.state.products, function(one, other)
      return one.product < other.product
    end)
  end
end
return cjson.encode(rows)
