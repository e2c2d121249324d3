--[[
  The next key among those that may be used and have enough left, by smooth weighted round robin (see key-turns.ts):
  the weights are the operator's, times what each key has left. A benched key's share is spread over the others. What
  the request costs is counted here. Time is the server's. Running it twice skips a turn and counts the cost twice,
  so that a little less is used than there is.

  KEYS[1] the benches: fields <id>:until, <id>:strikes, <id>:reason, <id>:trial (times in ms since 1970)
  KEYS[2] the turns: fields <id>:gained (of round robin) and <id>:taken (units ever taken)
  KEYS[3] the quotas: fields <id>:<source>:left, :limit, :total, :until; the source is account or reply
  ARGV[1] how long a trial may take, in milliseconds
  ARGV[2] units that the request costs
  ARGV[3] the share of its limit that each key must keep
  ARGV[4…] the ids of the keys, in their order, each followed by the operator's weight
  Returns {id, 1 if it is on trial or 0}, or {false, milliseconds until the next is free, 1 if a trial is under way}.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local trial_ms, units, reserve = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local function hash_at(key)
  local hash, fields = {}, redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    hash[fields[i]] = fields[i + 1]
  end
  return hash
end
local benches, turns, quotas = hash_at(KEYS[1]), hash_at(KEYS[2]), hash_at(KEYS[3])

-- What is left by that source, and until when; nothing when the source has said nothing that is still believed.
local function quota_of(id, source)
  local slot = id .. ':' .. source
  local ends = tonumber(quotas[slot .. ':until'] or 0)
  if ends > now then
    return tonumber(quotas[slot .. ':left']), ends, tonumber(quotas[slot .. ':limit'] or 0)
  end
end

local function free_from(id)
  local free = math.max(tonumber(benches[id .. ':until'] or 0), tonumber(benches[id .. ':trial'] or 0))
  if units > 0 then
    for _, source in ipairs({ 'account', 'reply' }) do
      local left, ends, limit = quota_of(id, source)
      if left and left - units < limit * reserve then
        free = math.max(free, ends)
      end
    end
  end
  return free
end

local available, wait, trying = {}, nil, 0
for i = 4, #ARGV, 2 do
  local id = ARGV[i]
  local free = free_from(id)
  if free <= now then
    available[#available + 1] = { id = id, weight = tonumber(ARGV[i + 1]) }
  elseif not wait or free - now < wait then
    wait = free - now
  end
  if tonumber(benches[id .. ':trial'] or 0) > now then
    trying = 1
  end
end
if #available == 0 then
  return { false, wait or 0, trying }
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
  key.gained = tonumber(turns[key.id .. ':gained'] or 0) + key.weight
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
redis.call('HSET', KEYS[2], id .. ':taken', string.format('%.0f', tonumber(turns[id .. ':taken'] or 0) + units), unpack(update))
redis.call('PEXPIRE', KEYS[2], 86400000)
for _, source in ipairs({ 'account', 'reply' }) do
  local left = quota_of(id, source)
  if left and units > 0 then
    redis.call('HSET', KEYS[3], id .. ':' .. source .. ':left', string.format('%.0f', left - units))
  end
end
if not benches[id .. ':strikes'] then
  return { id, 0 }
end
redis.call('HSET', KEYS[1], id .. ':trial', string.format('%.0f', now + trial_ms))
return { id, 1 }
