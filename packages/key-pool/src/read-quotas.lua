--[[
  What is known of keys' quotas.

  KEYS[1] the quotas (see take-key.lua)
  KEYS[2] the turns (see take-key.lua)
  ARGV[1…] ids
  Returns for each id {units ever taken, those of them beyond the plan, then for account and reply: left, limit, total, milliseconds to the reset},
  each as text and '' where nothing is known.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = {}
for i = 1, #ARGV do
  local id = ARGV[i]
  local counts = redis.call('HMGET', KEYS[2], id .. ':taken', id .. ':overage')
  local row = { counts[1] or '0', counts[2] or '0' }
  for _, source in ipairs({ 'account', 'reply' }) do
    local slot = id .. ':' .. source
    local quota = redis.call('HMGET', KEYS[1], slot .. ':left', slot .. ':limit', slot .. ':total', slot .. ':until')
    local ends = tonumber(quota[4] or 0)
    for field = 1, 3 do
      row[#row + 1] = ends > now and quota[field] or ''
    end
    row[#row + 1] = ends > now and string.format('%.0f', ends - now) or ''
  end
  known[i] = row
end
return known
