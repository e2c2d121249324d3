--[[
  Takes from a sliding window, behind `taking.lua`: this window's count and the one before's, weighted by how much of it
  still lies within one window's length of now. A refusal writes nothing.

  KEYS[1] the counts: fields index, current, previous
  ARGV[1] limit
  ARGV[2] length of the window in milliseconds
  Returns {1 if allowed or 0, remaining, ms until the window turns, ms until the same may be allowed}.
]]
local limit, length = tonumber(ARGV[1]), tonumber(ARGV[2])
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
