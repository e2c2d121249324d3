--[[
  Ends a key's bench and forgets its quota. Safe to run twice.

  KEYS[1] the benches (see take-key.lua)
  KEYS[2] the quotas (see take-key.lua)
  ARGV[1] id
  ARGV[2] the channel on which replicas learn of it
  Returns 1.
]]
local id = ARGV[1]
redis.call('HDEL', KEYS[1], id .. ':until', id .. ':strikes', id .. ':reason', id .. ':trial')
for _, source in ipairs({ ':account', ':reply' }) do
  redis.call('HDEL', KEYS[2], id .. source .. ':left', id .. source .. ':limit', id .. source .. ':total', id .. source .. ':until')
end
redis.call('PUBLISH', ARGV[2], cjson.encode({ id = id, state = 'released' }))
return 1
