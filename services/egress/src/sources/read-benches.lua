--[[
  The benches that still run, those that end last first.

  KEYS[1…] their sorted sets (see hold-bench.lua)
  ARGV[1] most of each that are returned
  Returns for each key a list: what is benched, how long it still is (milliseconds), and so on.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all = {}
for i, key in ipairs(KEYS) do
  local running = redis.call('ZREVRANGEBYSCORE', key, '+inf', string.format('(%.0f', now), 'WITHSCORES', 'LIMIT', 0, ARGV[1])
  for j = 2, #running, 2 do
    running[j] = tonumber(running[j]) - now
  end
  all[i] = running
end
return all
