--[[
  Notes that a key may ask a product, and how much its records hold. Safe to run twice.

  KEYS[1] the lessons (see take-key.lua)
  ARGV[1] id
  ARGV[2] product
  ARGV[3] how long it is believed, in milliseconds
  ARGV[4] richness, or ''
  Returns 1.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local scope, life = ARGV[1] .. '/' .. ARGV[2], tonumber(ARGV[3])
local is_known = tonumber(redis.call('HGET', KEYS[1], scope .. ':until') or 0) > now
if ARGV[4] ~= '' then
  local before = is_known and tonumber(redis.call('HGET', KEYS[1], scope .. ':richness') or 0) or 0
  redis.call('HSET', KEYS[1], scope .. ':richness', math.max(before, tonumber(ARGV[4])))
elseif not is_known then
  redis.call('HDEL', KEYS[1], scope .. ':richness')
end
redis.call('HSET', KEYS[1], scope .. ':until', string.format('%.0f', now + life))
redis.call('HDEL', KEYS[1], scope .. ':learning')
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(life, redis.call('PTTL', KEYS[1]))))
return 1
