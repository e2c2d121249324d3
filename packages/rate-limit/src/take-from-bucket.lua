--[[
  Takes from a token bucket, behind `taking.lua`. A bucket that is not there is full. A refusal writes nothing.

  KEYS[1] the bucket: fields tokens, at (ms since 1970)
  ARGV[1] burst: how much the bucket holds
  ARGV[2] refill per second
  Returns {1 if allowed or 0, remaining, ms until the bucket is full, ms until the same may be allowed}.
]]
local burst, per_ms = tonumber(ARGV[1]), ARGV[2] / 1000

local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = burst
if bucket[1] then
  tokens = math.min(burst, bucket[1] + math.max(0, now - bucket[2]) * per_ms)
end

if need >= 0 and tokens < need then
  local wait = math.max(1, math.ceil((need - tokens) / per_ms))
  return { 0, math.max(0, math.floor(tokens)), math.ceil((burst - tokens) / per_ms), wait }
end

tokens = tokens - cost
local full = math.ceil((burst - tokens) / per_ms)
if cost > 0 then
  -- With all digits: what flows in between two requests may be a small part of a token.
  redis.call('HSET', KEYS[1], 'tokens', string.format('%.17g', tokens), 'at', string.format('%d', now))
  redis.call('PEXPIRE', KEYS[1], full + 1000)
end
return { 1, math.max(0, math.floor(tokens)), full, 0 }
