--[[
  The next key in turn among those that may be used. Turns go round the keys that are available, so that a benched
  key's share is spread evenly. Time is the server's. Running it twice skips a turn, which harms nothing.

  KEYS[1] the benches: fields <id>:until, <id>:strikes, <id>:reason, <id>:trial (times in ms since 1970)
  KEYS[2] the cursor
  ARGV[1] how long a trial may take, in milliseconds
  ARGV[2…] the ids of the keys, in their order
  Returns {id, 1 if it is on trial or 0}, or {false, milliseconds until the next is free, 1 if a trial is under way}.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = {}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  state[fields[i]] = fields[i + 1]
end

local available, wait, trying = {}, nil, 0
for i = 2, #ARGV do
  local id = ARGV[i]
  local bench_end = tonumber(state[id .. ':until'] or 0)
  local trial_end = tonumber(state[id .. ':trial'] or 0)
  local free = math.max(bench_end, trial_end)
  if free <= now then
    available[#available + 1] = id
  else
    if trial_end > now then
      trying = 1
    end
    if not wait or free - now < wait then
      wait = free - now
    end
  end
end
if #available == 0 then
  return { false, wait or 0, trying }
end

local turn = redis.call('INCR', KEYS[2])
if turn == 1 then
  redis.call('PEXPIRE', KEYS[2], 86400000)
end
local id = available[turn % #available + 1]
if not state[id .. ':strikes'] then
  return { id, 0 }
end
redis.call('HSET', KEYS[1], id .. ':trial', string.format('%d', now + ARGV[1]))
return { id, 1 }
