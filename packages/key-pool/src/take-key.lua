--[[
  The next key among those that may be used and have enough left, by smooth weighted round robin: the weights are the
  operator's, times what each key has left. A benched key's share is spread over the others. What the request costs is
  counted here. Running it twice skips a turn and counts the cost twice, so that a little less is used than there is.

  Arguments: candidates {id, weight, isDeclared (for the product), pays (for overage), maxPerDay (units)} in their order,
  of which all but the id may be absent; units, reserveShare, products, learns, prefersRich (TakeOptions in
  key-store.ts); trialMs; onlyAsks: no key is taken, and trials that are under way count as over.
  Returns a Taken, with onlyAsks a KeyReturn (key-store.ts), as JSON.
]]
local units, products = given.units, given.products
local product = products[1]
local sources = { 'account', 'reply' }

for _, key in ipairs(given.candidates) do
  key.scopes = { key.id }
  for _, name in ipairs(products) do
    table.insert(key.scopes, scope_of(key.id, name))
  end
end

-- In a small hash (hash-max-listpack-entries, 512) Redis looks for each field from the beginning. To take one of 50 keys
-- cost the server 4.8 ms with HMGET and 1.9 ms with HGETALL (medians of five runs in turns on a busy machine). Of a large
-- hash, with many products, most is not needed.
local function read(key, fields)
  local values = {}
  if #fields > 0 and redis.call('HLEN', key) <= 512 then
    local all = redis.call('HGETALL', key)
    for i = 1, #all, 2 do
      values[all[i]] = all[i + 1]
    end
    return values
  end
  for from = 1, #fields, 1000 do
    local some = { unpack(fields, from, math.min(from + 999, #fields)) }
    for i, value in ipairs(redis.call('HMGET', key, unpack(some))) do
      values[some[i]] = value
    end
  end
  return values
end

local bench_fields, turn_fields, quota_fields, lesson_fields = {}, {}, {}, {}
local function add(fields, prefix, names)
  for _, name in ipairs(names) do
    fields[#fields + 1] = prefix .. name
  end
end
for _, key in ipairs(given.candidates) do
  add(turn_fields, key.id, { ':gained', ':taken', ':overage', ':day', ':today' })
  for _, scope in ipairs(key.scopes) do
    add(bench_fields, scope, { ':until', ':strikes', ':reason', ':status', ':trial' })
    for _, source in ipairs(units > 0 and sources or {}) do
      add(quota_fields, scope .. ':' .. source, { ':left', ':limit', ':until' })
    end
  end
  if product and (given.learns or given.prefersRich) then
    add(lesson_fields, scope_of(key.id, product), { ':until', ':richness', ':learning' })
  end
end
local benches, turns = read(benches_key, bench_fields), read(turns_key, turn_fields)
local quotas, lessons = read(quotas_key, quota_fields), read(lessons_key, lesson_fields)
local function number(hash, field)
  return tonumber(hash[field] or 0) or 0
end

-- What is left by that source, until when, and of how much; nothing when nothing is known that is still believed.
local function quota_of(scope, source)
  local slot = scope .. ':' .. source
  local ends = number(quotas, slot .. ':until')
  if ends > now then
    return number(quotas, slot .. ':left'), ends, number(quotas, slot .. ':limit')
  end
end

local function short_until(scope)
  local free = 0
  for _, source in ipairs(sources) do
    local left, ends, limit = quota_of(scope, source)
    if left and left - units < limit * given.reserveShare then
      free = math.max(free, ends)
    end
  end
  return free
end

local function benched_until(scope)
  -- What costs nothing is asked of a key whose quota is gone, too.
  local is_free = units == 0 and benches[scope .. ':reason'] == 'exhausted' and not string.find(scope, '/', 1, true)
  return is_free and 0 or number(benches, scope .. ':until')
end

local function lesson_of(key, name)
  if product and number(lessons, scope_of(key.id, product) .. ':until') > now then
    return lessons[scope_of(key.id, product) .. name]
  end
end

local function tried_until(key)
  local free = given.learns and number(lessons, scope_of(key.id, product) .. ':learning') or 0
  for _, scope in ipairs(key.scopes) do
    free = math.max(free, number(benches, scope .. ':trial'))
  end
  return free
end

local function today_of(key)
  return number(turns, key.id .. ':day') == math.floor(now / day_ms) and number(turns, key.id .. ':today') or 0
end

-- When the key is free, and whether only for money.
local function free_from(key)
  local free, is_short = 0, false
  for at, scope in ipairs(key.scopes) do
    local short = short_until(scope)
    if at == 1 and short > 0 and given.reserveShare == 0 and key.pays then
      is_short = true
    else
      free = math.max(free, short)
    end
    free = math.max(free, benched_until(scope))
  end
  if key.maxPerDay and units > 0 and today_of(key) + units > key.maxPerDay then
    free = math.max(free, (math.floor(now / day_ms) + 1) * day_ms)
  end
  return free, is_short
end

-- The status with which the key was refused one of the products; 0 when it is refused as a whole.
local function denial_of(scopes)
  for at = #scopes, 1, -1 do
    if number(benches, scopes[at] .. ':until') > now and benches[scopes[at] .. ':reason'] == 'denied' then
      return at == 1 and 0 or tonumber(benches[scopes[at] .. ':status'] or 403)
    end
  end
end

local available, wait, is_tried, denied_count, status, some_denied = {}, nil, false, 0, 0, false
for _, key in ipairs(given.candidates) do
  local free, tried = nil, tried_until(key)
  free, key.overage = free_from(key)
  if not given.onlyAsks then
    free = math.max(free, tried)
  end
  if free <= now then
    table.insert(available, key)
  end
  wait = math.min(wait or math.huge, math.max(0, free - now))
  is_tried = is_tried or tried > now
  local denied = denial_of(key.scopes)
  if denied then
    denied_count, status = denied_count + 1, math.max(status, denied)
    some_denied = some_denied or (denial_of({ key.id, key.scopes[2] }) or 0) > 0
  end
end
if #available == 0 or given.onlyAsks then
  local all_denied = denied_count == #given.candidates and status > 0
  local none = { retryAfterMs = wait or 0, deniedStatus = all_denied and status or nil }
  if not given.onlyAsks then
    none.kind, none.trialUnderWay = 'none', is_tried
  end
  return cjson.encode(none)
end

-- To those that fit, unless none does.
local function narrow(fits)
  local some = {}
  for _, key in ipairs(available) do
    if fits(key) then
      table.insert(some, key)
    end
  end
  available = #some > 0 and some or available
end
narrow(function(key)
  return not key.overage
end)
narrow(function(key)
  return key.isDeclared
end)
if given.learns and some_denied then
  narrow(function(key)
    return lesson_of(key, ':until')
  end)
end
local richest, seen_richness, is_mixed = 0, nil, nil
if given.prefersRich then
  for _, key in ipairs(given.candidates) do
    local richness = tonumber(lesson_of(key, ':richness') or nil)
    is_mixed = is_mixed or richness and seen_richness and richness ~= seen_richness or nil
    seen_richness = seen_richness or richness
  end
  for _, key in ipairs(available) do
    richest = math.max(richest, tonumber(lesson_of(key, ':richness') or 0))
  end
  narrow(function(key)
    return tonumber(lesson_of(key, ':richness') or richest) >= richest
  end)
end

-- See weightsOf in quota.ts.
local source = 'reply'
for _, key in ipairs(available) do
  if quota_of(key.id, 'account') then
    source = 'account'
  end
end
local sum, known = 0, 0
for _, key in ipairs(available) do
  key.left = quota_of(key.id, source)
  if key.left then
    sum, known = sum + key.left, known + 1
  end
end

local chosen, total = nil, 0
for _, key in ipairs(available) do
  local weight = key.weight or 1
  if sum > 0 then
    weight = weight * (key.left or sum / known) * known / sum
  end
  key.gained, total = number(turns, key.id .. ':gained') + weight, total + weight
  if not chosen or key.gained > chosen.gained then
    chosen = key
  end
end
chosen.gained = chosen.gained - total

local id, update = chosen.id, {}
for _, key in ipairs(available) do
  add(update, '', { key.id .. ':gained', string.format('%.9g', key.gained) })
end
add(update, '', { id .. ':taken', digits(number(turns, id .. ':taken') + units) })
add(update, '', { id .. ':today', digits(today_of(chosen) + units), id .. ':day', digits(math.floor(now / day_ms)) })
if chosen.overage then
  add(update, '', { id .. ':overage', digits(number(turns, id .. ':overage') + units) })
end
for from = 1, #update, 1000 do
  redis.call('HSET', turns_key, unpack(update, from, math.min(from + 999, #update)))
end
redis.call('PEXPIRE', turns_key, day_ms)
local is_trial, is_learning = false, nil
for _, scope in ipairs(chosen.scopes) do
  for _, from in ipairs(sources) do
    local left = quota_of(scope, from)
    if left then
      redis.call('HSET', quotas_key, scope .. ':' .. from .. ':left', digits(math.max(0, left - units)))
    end
  end
  -- A bench that still runs, and that this request was let by, is not on trial.
  if benches[scope .. ':strikes'] and number(benches, scope .. ':until') <= now then
    redis.call('HSET', benches_key, scope .. ':trial', digits(now + given.trialMs))
    is_trial = true
  end
end
if given.learns and not lesson_of(chosen, ':until') then
  redis.call('HSET', lessons_key, scope_of(id, product) .. ':learning', digits(now + given.trialMs))
  keep(lessons_key, day_ms)
  is_learning = true
end
return cjson.encode({
  kind = 'key', id = id, trial = is_trial, learning = is_learning,
  richness = tonumber(lesson_of(chosen, ':richness') or nil), richest = richest > 0 and richest or nil,
  mixed = is_mixed, overage = chosen.overage or nil,
})
