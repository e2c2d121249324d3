--[[
  What upstream says that a key has left. Upstream does not know of requests that are still on their way to it, so what
  was counted here is kept as long as the two do not contradict each other: at most what upstream says, and at least
  that less what was taken since all of it had arrived there. Safe to run twice.

  KEYS[1] the quotas (see take-key.lua)
  KEYS[2] the turns (see take-key.lua)
  ARGV[1] id
  ARGV[2] source: account or reply
  ARGV[3] units left
  ARGV[4] the limit, or ''
  ARGV[5] units used and left together, or ''
  ARGV[6] milliseconds until it is full again, or not believed any more
  ARGV[7] <id>:taken at the moment from which on units may have been on their way, or '' when nobody knows
  ARGV[8] the channel on which replicas learn of it
  ARGV[9] the product that the quota is of, or ''
  Returns the units that are believed to be left.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local product = ARGV[9] ~= '' and ARGV[9] or nil
local slot = (product and ARGV[1] .. '/' .. product or ARGV[1]) .. ':' .. ARGV[2]
local said, ends = tonumber(ARGV[3]), now + tonumber(ARGV[6])
local before = redis.call('HMGET', KEYS[1], slot .. ':left', slot .. ':limit', slot .. ':until')
local is_known = tonumber(before[3] or 0) > now and (before[2] or '') == ARGV[4]

local least = said
if ARGV[7] ~= '' then
  local taken = tonumber(redis.call('HGET', KEYS[2], ARGV[1] .. ':taken') or 0)
  -- Less than before means that the count began anew.
  least = math.max(0, said - math.max(0, taken - tonumber(ARGV[7])))
end
local left = least
if is_known then
  left = math.min(tonumber(before[1]), said)
  if ARGV[7] ~= '' then
    left = math.max(left, least)
  end
  -- A window that is prolonged with every reply would never be counted anew.
  if ARGV[2] == 'reply' and said > 0 then
    ends = tonumber(before[3])
  end
end

local fields = { ':left', string.format('%.0f', left), ':until', string.format('%.0f', ends), ':limit', ARGV[4], ':total', ARGV[5] }
for i = 1, #fields, 2 do
  if fields[i + 1] == '' then
    redis.call('HDEL', KEYS[1], slot .. fields[i])
  else
    redis.call('HSET', KEYS[1], slot .. fields[i], fields[i + 1])
  end
end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(ends - now + 86400000, redis.call('PTTL', KEYS[1]))))
-- For replicas that have to go on without Redis. What replies say they hear themselves.
if ARGV[2] == 'account' then
  local quota = { source = ARGV[2], remaining = left, limit = tonumber(ARGV[4]), resetMs = ends - now }
  if ARGV[5] ~= '' then
    quota.used = math.max(0, tonumber(ARGV[5]) - left)
  end
  redis.call('PUBLISH', ARGV[8], cjson.encode({ id = ARGV[1], product = product, quota = quota }))
end
return string.format('%.0f', left)
