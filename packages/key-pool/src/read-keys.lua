--[[
  The state of keys.

  KEYS[1] the benches (see take-key.lua)
  KEYS[2] the quotas (see take-key.lua)
  ARGV[1…] ids
  Returns for each id {milliseconds its bench still runs, 0 when it is over, -1 when there is none; reason or '';
  milliseconds until it has anything left again, 0 when it has; then three for each product that it rests for or may
  not ask: its name, the reason, milliseconds}.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local states, at = {}, {}
for i = 1, #ARGV do
  local id = ARGV[i]
  local bench = redis.call('HMGET', KEYS[1], id .. ':until', id .. ':reason')
  local remaining = bench[1] and math.max(0, tonumber(bench[1]) - now) or -1
  local empty = 0
  for _, source in ipairs({ ':account', ':reply' }) do
    local quota = redis.call('HMGET', KEYS[2], id .. source .. ':left', id .. source .. ':until')
    if tonumber(quota[1] or 1) < 1 then
      empty = math.max(empty, tonumber(quota[2] or 0) - now)
    end
  end
  states[i], at[id] = { remaining, bench[2] or '', empty }, i
end
local benches = redis.call('HGETALL', KEYS[1])
local reasons = {}
for i = 1, #benches, 2 do
  reasons[benches[i]] = benches[i + 1]
end
for i = 1, #benches, 2 do
  local id, product = string.match(benches[i], '^([^/:]+)/(.+):until$')
  local left = id and tonumber(benches[i + 1]) - now or 0
  if at[id] and left > 0 then
    local state = states[at[id]]
    state[#state + 1] = product
    state[#state + 1] = reasons[id .. '/' .. product .. ':reason'] or 'limited'
    state[#state + 1] = left
  end
end
return states
