--[[
  Ends the trial of a key, as a whole and for products. What was benched again meanwhile stays benched. Safe to run twice.

  KEYS[1] the benches (see take-key.lua)
  KEYS[2] the lessons (see take-key.lua)
  ARGV[1] id
  ARGV[2] 'recovered': the key is good again; 'unknown': nothing was learnt, the next request tries it
  ARGV[3] the channel on which replicas learn of it
  ARGV[4…] products
  Returns 1 when something changed, else 0.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local id, recovered, changed = ARGV[1], ARGV[2] == 'recovered', 0

local function end_trial(scope, product)
  local bench_end = tonumber(redis.call('HGET', KEYS[1], scope .. ':until') or 0)
  if bench_end == 0 or bench_end > now then
    return
  end
  changed = 1
  if recovered then
    redis.call('HDEL', KEYS[1], scope .. ':until', scope .. ':strikes', scope .. ':reason', scope .. ':status', scope .. ':trial')
  else
    redis.call('HDEL', KEYS[1], scope .. ':trial')
  end
  local change = { id = id, product = product, state = recovered and 'active' or 'trial' }
  redis.call('PUBLISH', ARGV[3], cjson.encode(change))
end

end_trial(id)
for i = 4, #ARGV do
  end_trial(id .. '/' .. ARGV[i], ARGV[i])
  redis.call('HDEL', KEYS[2], id .. '/' .. ARGV[i] .. ':learning')
end
return changed
