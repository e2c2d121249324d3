--[[
  The state of keys.

  KEYS[1] the benches (see take-key.lua)
  ARGV[1…] ids
  Returns for each id {milliseconds its bench still runs, 0 when it is over, -1 when there is none; reason or ''}.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local states = {}
for i = 1, #ARGV do
  local bench = redis.call('HMGET', KEYS[1], ARGV[i] .. ':until', ARGV[i] .. ':reason')
  local remaining = bench[1] and math.max(0, tonumber(bench[1]) - now) or -1
  states[i] = { remaining, bench[2] or '' }
end
return states
