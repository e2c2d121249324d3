--[[
  Ends the trial of a key. A key that was benched again meanwhile stays benched. Safe to run twice.

  KEYS[1] the benches (see take-key.lua)
  ARGV[1] id
  ARGV[2] 'recovered': the key is good again; 'unknown': nothing was learnt, the next request tries it
  ARGV[3] the channel on which replicas learn of it
  Returns 1 when something changed, else 0.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local id = ARGV[1]
local bench_end = tonumber(redis.call('HGET', KEYS[1], id .. ':until') or 0)
if bench_end == 0 or bench_end > now then
  return 0
end
if ARGV[2] == 'recovered' then
  redis.call('HDEL', KEYS[1], id .. ':until', id .. ':strikes', id .. ':reason', id .. ':trial')
  redis.call('PUBLISH', ARGV[3], cjson.encode({ id = id, state = 'active' }))
else
  redis.call('HDEL', KEYS[1], id .. ':trial')
  redis.call('PUBLISH', ARGV[3], cjson.encode({ id = id, state = 'trial' }))
end
return 1
