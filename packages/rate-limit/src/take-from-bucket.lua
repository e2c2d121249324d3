--[[
  Takes from a token bucket. A bucket that is not there is full. Time is the server's. A refusal writes nothing.

  KEYS[1] the bucket: fields tokens, at (ms since 1970)
  KEYS[2] (with ARGV[5] only) the last report of a sender
  ARGV[1] burst: how much the bucket holds
  ARGV[2] refill per second
  ARGV[3] cost: how much is taken
  ARGV[4] how much must be left for it; -1: take whatever is left
  ARGV[5] number of this report by its sender, rising. A report that has been counted is not counted again: its
          sender saw no answer and repeats it
  ARGV[6] how long that is remembered, in milliseconds
  Returns {1 if allowed or 0, remaining, ms until the bucket is full, ms until the same may be allowed}.
]]
local burst, per_ms = tonumber(ARGV[1]), ARGV[2] / 1000
local cost, need = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = burst
if bucket[1] then
  tokens = math.min(burst, bucket[1] + math.max(0, now - bucket[2]) * per_ms)
end

if KEYS[2] then
  if tonumber(redis.call('GET', KEYS[2]) or 0) >= tonumber(ARGV[5]) then
    cost = 0
  else
    redis.call('SET', KEYS[2], ARGV[5], 'PX', ARGV[6])
  end
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
