--[[
  Lets one replica at a time renew a database, and none before its time. A replica that lacks the version which the fleet
  has keeps files for itself, and need not wait. Running it twice harms nothing: the holder prolongs its lease.

  KEYS[1]: the state of this source, a hash: holder, until, next (ms), version.
  ARGV: holder; lease (ms); the version that the caller has, or empty.
  Returns {1, 0} if the caller may renew, else {0, ms to wait}.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'holder', 'until', 'next', 'version')
local holder, ends, next_try, version = state[1], tonumber(state[2] or 0), tonumber(state[3] or 0), state[4]

if holder and holder ~= ARGV[1] and ends > now then
  return { 0, ends - now }
end
if holder ~= ARGV[1] and next_try > now and (not version or version == ARGV[3]) then
  return { 0, next_try - now }
end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', string.format('%.0f', now + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], 30 * 24 * 3600 * 1000)
return { 1, 0 }
