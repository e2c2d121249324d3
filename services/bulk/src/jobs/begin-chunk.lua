--[[
  What a worker needs of a chunk. The first one that is taken up makes its job running. Time is the server's.

  KEYS[1] the job (hash), KEYS[2] its inputs, KEYS[3] its results (hashes by number of the chunk)
  ARGV[1] the number of the chunk
  Returns {'inputs', the packed inputs, owner, wanted fields or '', holder, id of its request or '', that one's
  traceparent or ''}, {'finished'}, or {'gone'}.
]]
local state, owner, fields, holder, request, trace =
  unpack(redis.call('HMGET', KEYS[1], 'state', 'owner', 'fields', 'holder', 'request', 'trace'))
if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1 then
  return { 'finished' }
end
local inputs = redis.call('HGET', KEYS[2], ARGV[1])
if not inputs or (state ~= 'queued' and state ~= 'running') then
  return { 'gone' }
end
if state == 'queued' then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('HSET', KEYS[1], 'state', 'running', 'started', now, 'mark:ms', now, 'mark:done', 0)
end
return { 'inputs', inputs, owner, fields or '', holder or owner, request or '', trace or '' }
