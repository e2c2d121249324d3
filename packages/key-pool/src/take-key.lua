--[[
  The next key among those that may be used and have enough left, by smooth weighted round robin (see key-turns.ts):
  the weights are the operator's, times what each key has left. A benched key's share is spread over the others. What
  the request costs is counted here. Time is the server's. Running it twice skips a turn and counts the cost twice,
  so that a little less is used than there is.

  A scope is a key, `<id>`, or a key for one product, `<id>/<product>`.

  KEYS[1] the benches: fields <scope>:until, :strikes, :reason, :status, :trial (times in ms since 1970)
  KEYS[2] the turns: fields <id>:gained (of round robin), <id>:taken, <id>:overage (units ever taken; those of them that
          its plan did not pay for), <id>:day and <id>:today (the day since 1970, UTC, and units of that day)
  KEYS[3] the quotas: fields <scope>:<source>:left, :limit, :total, :until; the source is account or reply
  KEYS[4] the lessons: fields <scope>:until, :richness, and :learning (until when someone finds out)
  ARGV[1] how long a trial may take, in milliseconds
  ARGV[2] units that the request costs
  ARGV[3] the share of its limit that each key must keep
  ARGV[4] flags: l if the first product is to be learnt, r if the richest records are preferred
  ARGV[5] how many products follow; then their names
  ARGV[…] four for each key, in their order: id, the operator's weight, flags (d declared for the product, p pays for
          overage), most units in a day or 0
  Returns {id, flags (t on trial, l learning, o overage, m if the richness of keys differs), richness or '', the most of all or 0}, or {false, milliseconds until the next is
  free, 1 if a trial is under way, the status that every key was refused with, or 0}.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local day_ms = 86400000
local trial_ms, units, reserve = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local learns, prefers_rich = string.find(ARGV[4], 'l') ~= nil, string.find(ARGV[4], 'r') ~= nil
local first_key = 6 + tonumber(ARGV[5])
local product = ARGV[6]
if first_key == 6 then
  product = nil
end

local function scopes_of(id)
  local scopes = { id }
  for i = 6, first_key - 1 do
    scopes[#scopes + 1] = id .. '/' .. ARGV[i]
  end
  return scopes
end

-- All that is needed of a hash: with many products most of it is not.
local function read(key, fields)
  local values = {}
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
for i = first_key, #ARGV, 4 do
  local id = ARGV[i]
  add(turn_fields, id, { ':gained', ':taken', ':overage', ':day', ':today' })
  for _, scope in ipairs(scopes_of(id)) do
    add(bench_fields, scope, { ':until', ':strikes', ':reason', ':status', ':trial' })
    if units > 0 then
      for _, source in ipairs({ ':account', ':reply' }) do
        add(quota_fields, scope .. source, { ':left', ':limit', ':until' })
      end
    end
  end
  if product and (learns or prefers_rich) then
    add(lesson_fields, id .. '/' .. product, { ':until', ':richness', ':learning' })
  end
end
local benches, turns = read(KEYS[1], bench_fields), read(KEYS[2], turn_fields)
local quotas, lessons = read(KEYS[3], quota_fields), read(KEYS[4], lesson_fields)
local function number(hash, field)
  return tonumber(hash[field] or 0) or 0
end

-- What is left by that source, and until when; nothing when the source has said nothing that is still believed.
local function quota_of(scope, source)
  local slot = scope .. ':' .. source
  local ends = number(quotas, slot .. ':until')
  if ends > now then
    return number(quotas, slot .. ':left'), ends, number(quotas, slot .. ':limit')
  end
end

local function short_until(scope)
  local free = 0
  for _, source in ipairs({ 'account', 'reply' }) do
    local left, ends, limit = quota_of(scope, source)
    if left and left - units < limit * reserve then
      free = math.max(free, ends)
    end
  end
  return free
end

local function benched_until(scope, is_whole)
  local ends = number(benches, scope .. ':until')
  -- What costs nothing is asked of a key whose quota is gone, too.
  if is_whole and units == 0 and benches[scope .. ':reason'] == 'exhausted' then
    ends = 0
  end
  return math.max(ends, number(benches, scope .. ':trial'))
end

local function lesson_of(id, name)
  if product and number(lessons, id .. '/' .. product .. ':until') > now then
    return lessons[id .. '/' .. product .. name]
  end
end

local function is_tried(id, scopes)
  for _, scope in ipairs(scopes) do
    if number(benches, scope .. ':trial') > now then
      return true
    end
  end
  return learns and number(lessons, id .. '/' .. product .. ':learning') > now
end

-- The status with which the key was refused one of the products; 0 when it is refused as a whole.
local function denial_of(scopes)
  for i = #scopes, 1, -1 do
    if number(benches, scopes[i] .. ':until') > now and benches[scopes[i] .. ':reason'] == 'denied' then
      return i == 1 and 0 or tonumber(benches[scopes[i] .. ':status'] or 403)
    end
  end
end

local available, wait, trying, denied, key_count, some_denied = {}, nil, 0, 0, 0, false
local highest_status = 0
for i = first_key, #ARGV, 4 do
  local id, flags, per_day = ARGV[i], ARGV[i + 2], tonumber(ARGV[i + 3])
  local scopes = scopes_of(id)
  key_count = key_count + 1
  local free, overage = 0, false
  for at, scope in ipairs(scopes) do
    free = math.max(free, benched_until(scope, at == 1))
    if units > 0 then
      local short = short_until(scope)
      if at == 1 and short > 0 and reserve == 0 and string.find(flags, 'p') then
        overage = true
      else
        free = math.max(free, short)
      end
    end
  end
  if learns then
    free = math.max(free, number(lessons, id .. '/' .. product .. ':learning'))
  end
  if per_day > 0 and units > 0 then
    local today = number(turns, id .. ':day') == math.floor(now / day_ms) and number(turns, id .. ':today') or 0
    if today + units > per_day then
      free = math.max(free, (math.floor(now / day_ms) + 1) * day_ms)
    end
  end
  if free <= now then
    available[#available + 1] =
      { id = id, scopes = scopes, weight = tonumber(ARGV[i + 1]), overage = overage, declared = string.find(flags, 'd') }
  elseif not wait or free - now < wait then
    wait = free - now
  end
  if is_tried(id, scopes) then
    trying = 1
  end
  local status = denial_of(scopes)
  if status then
    denied = denied + 1
    highest_status = math.max(highest_status, status)
    some_denied = some_denied or (denial_of({ id, scopes[2] }) or 0) > 0
  end
end
if #available == 0 then
  return { false, wait or 0, trying, key_count > 0 and denied == key_count and highest_status or 0 }
end

local function narrow(fits)
  local some = {}
  for _, key in ipairs(available) do
    if fits(key) then
      some[#some + 1] = key
    end
  end
  if #some > 0 then
    available = some
  end
end
narrow(function(key)
  return not key.overage
end)
narrow(function(key)
  return key.declared
end)
if learns and some_denied then
  narrow(function(key)
    return lesson_of(key.id, ':until')
  end)
end
local most, seen_richness, flags = 0, nil, ''
if prefers_rich then
  for i = first_key, #ARGV, 4 do
    local richness = tonumber(lesson_of(ARGV[i], ':richness') or nil)
    if richness and seen_richness and richness ~= seen_richness then
      flags = 'm'
    end
    seen_richness = seen_richness or richness
  end
  for _, key in ipairs(available) do
    most = math.max(most, tonumber(lesson_of(key.id, ':richness') or 0))
  end
  narrow(function(key)
    return tonumber(lesson_of(key.id, ':richness') or most) >= most
  end)
end

-- See weightsOf in quota.ts.
if units > 0 then
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
  if sum > 0 then
    for _, key in ipairs(available) do
      key.weight = key.weight * (key.left or sum / known) * known / sum
    end
  end
end

local chosen, total = nil, 0
local update = {}
for _, key in ipairs(available) do
  key.gained = number(turns, key.id .. ':gained') + key.weight
  total = total + key.weight
  if not chosen or key.gained > chosen.gained then
    chosen = key
  end
end
chosen.gained = chosen.gained - total
for _, key in ipairs(available) do
  update[#update + 1] = key.id .. ':gained'
  update[#update + 1] = string.format('%.9g', key.gained)
end

local id = chosen.id
local function count(name, value)
  update[#update + 1] = id .. name
  update[#update + 1] = string.format('%.0f', value)
end
local today = math.floor(now / day_ms)
count(':taken', number(turns, id .. ':taken') + units)
count(':today', (number(turns, id .. ':day') == today and number(turns, id .. ':today') or 0) + units)
count(':day', today)
if chosen.overage then
  count(':overage', number(turns, id .. ':overage') + units)
end
for from = 1, #update, 1000 do
  redis.call('HSET', KEYS[2], unpack(update, from, math.min(from + 999, #update)))
end
redis.call('PEXPIRE', KEYS[2], day_ms)
flags = flags .. (chosen.overage and 'o' or '')
for _, scope in ipairs(chosen.scopes) do
  for _, source in ipairs({ 'account', 'reply' }) do
    local left = units > 0 and quota_of(scope, source)
    if left then
      redis.call('HSET', KEYS[3], scope .. ':' .. source .. ':left', string.format('%.0f', math.max(0, left - units)))
    end
  end
  -- A bench that still runs, and that this request was let by, is not on trial.
  if benches[scope .. ':strikes'] and number(benches, scope .. ':until') <= now then
    redis.call('HSET', KEYS[1], scope .. ':trial', string.format('%.0f', now + trial_ms))
    flags = flags .. 't'
  end
end
if learns and not lesson_of(id, ':until') then
  redis.call('HSET', KEYS[4], id .. '/' .. product .. ':learning', string.format('%.0f', now + trial_ms))
  redis.call('PEXPIRE', KEYS[4], math.max(day_ms, redis.call('PTTL', KEYS[4])))
  flags = flags .. 'l'
end
return { id, flags, lesson_of(id, ':richness') or '', most }
