--[[
  Begins a job. Time is the server's.

  KEYS[1] the job (hash)
  ARGV[1] how long it may stay without anything coming in, in milliseconds
  ARGV[2] its owner
  ARGV[3] the wanted fields as a JSON list, or ''
  ARGV[4] the callback's URL, or ''
  ARGV[5] in whose share of the store it is
  ARGV[6] the id of the request that brings it, or ''
  ARGV[7] the traceparent of that request, or ''
  ARGV[8] the id of its report
  Returns 1.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

redis.call('HSET', KEYS[1], 'state', 'receiving', 'owner', ARGV[2], 'holder', ARGV[5], 'created', now,
  'report', ARGV[8])
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], 'fields', ARGV[3])
end
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'callback:url', ARGV[4], 'callback:state', 'waiting', 'callback:attempts', 0)
end
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'request', ARGV[6])
end
if ARGV[7] ~= '' then
  redis.call('HSET', KEYS[1], 'trace', ARGV[7])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
