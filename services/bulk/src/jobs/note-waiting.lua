--[[
  A job that is under way waits for room in the store. Its next result (finish-chunk) says that it does no longer.

  KEYS[1] the job (hash)
  Returns 1, or 0 when it is not under way.
]]
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'queued' and state ~= 'running' then
  return 0
end
redis.call('HSET', KEYS[1], 'waiting', 'storage')
return 1
