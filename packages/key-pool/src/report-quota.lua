--[[
  What upstream says that a key has left. Upstream does not know of requests that are still on their way to it, so what
  was counted here is kept as long as the two do not contradict each other: at most what upstream says, and at least
  that less what was taken since all of it had arrived there. Safe to run twice.

  Arguments: a QuotaReport (quota.ts), and total: units used and left together, where both are known.
]]
local slot = scope_of(given.id, given.product) .. ':' .. given.source
local said, ends = given.remaining, now + math.ceil(given.resetMs)
local before = redis.call('HMGET', quotas_key, slot .. ':left', slot .. ':limit', slot .. ':until')
local is_known = tonumber(before[3] or 0) > now and tonumber(before[2] or nil) == given.limit

local min_left = said
if given.takenBefore then
  local taken = number_at(turns_key, given.id .. ':taken')
  -- Less than before means that the count began anew.
  min_left = math.max(0, said - math.max(0, taken - given.takenBefore))
end
local left = min_left
if is_known then
  left = math.min(tonumber(before[1]), said)
  if given.takenBefore then
    left = math.max(left, min_left)
  end
  -- A window that is prolonged with every reply would never be counted anew.
  if given.source == 'reply' and said > 0 then
    ends = tonumber(before[3])
  end
end

redis.call('HDEL', quotas_key, slot .. ':limit', slot .. ':total')
redis.call('HSET', quotas_key, slot .. ':left', digits(left), slot .. ':until', digits(ends))
for field, value in pairs({ [':limit'] = given.limit, [':total'] = given.total }) do
  redis.call('HSET', quotas_key, slot .. field, digits(value))
end
keep(quotas_key, ends - now + day_ms)
-- For replicas that have to go on without Redis. What replies say they hear themselves.
if given.source == 'account' then
  local used = given.total and math.max(0, given.total - left)
  local quota = { source = given.source, remaining = left, limit = given.limit, used = used, resetMs = ends - now }
  publish({ id = given.id, product = given.product, quota = quota })
end
