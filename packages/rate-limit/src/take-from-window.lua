--[[
  Takes from a sliding window: this window's count and the one before's, weighted by how much of it still lies within
  one window's length of now. Time is the server's. A refusal writes nothing.

  KEYS[1] the counts: fields index, current, previous
  KEYS[2] (with ARGV[5] only) the last report of a sender
  ARGV[1] limit
  ARGV[2] length of the window in milliseconds
  ARGV[3] cost: how much is taken
  ARGV[4] how much must be left for it; -1: take whatever is left
  ARGV[5] number of this report by its sender, rising. A report that has been counted is not counted again: its
          sender saw no answer and repeats it
  ARGV[6] how long that is remembered, in milliseconds
  Returns {1 if allowed or 0, remaining, ms until the window turns, ms until the same may be allowed}.
]]
local limit, length = tonumber(ARGV[1]), tonumber(ARGV[2])
local cost, need = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local index = math.floor(now / length)
local elapsed = now - index * length

local counts = redis.call('HMGET', KEYS[1], 'index', 'current', 'previous')
local known = tonumber(counts[1] or -2)
local current, previous = tonumber(counts[2] or 0), tonumber(counts[3] or 0)
if known == index - 1 then
  current, previous = 0, current
elseif known ~= index then
  current, previous = 0, 0
end

if KEYS[2] then
  if tonumber(redis.call('GET', KEYS[2]) or 0) >= tonumber(ARGV[5]) then
    cost = 0
  else
    redis.call('SET', KEYS[2], ARGV[5], 'PX', ARGV[6])
  end
end

local weighted = previous * (length - elapsed) / length
if need >= 0 and weighted + current + need > limit then
  local wait
  if need > limit then
    wait = 2 * length - elapsed
  elseif current + need <= limit then
    wait = math.max(0, length - (limit - current - need) * length / previous) - elapsed
  else
    wait = length - elapsed + math.max(0, length - (limit - need) * length / current)
  end
  local remaining = math.max(0, math.floor(limit - weighted - current))
  return { 0, remaining, length - elapsed, math.max(1, math.ceil(wait)) }
end

current = current + cost
if cost > 0 then
  redis.call('HSET', KEYS[1], 'index', string.format('%d', index), 'current', current, 'previous', previous)
  redis.call('PEXPIRE', KEYS[1], 2 * length - elapsed)
end
return { 1, math.max(0, math.floor(limit - weighted - current)), length - elapsed, 0 }
