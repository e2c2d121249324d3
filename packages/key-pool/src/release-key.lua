--[[
  Ends a key's benches, for whatever product, and forgets its quota. Safe to run twice.

  KEYS[1] the benches (see take-key.lua)
  KEYS[2] the quotas (see take-key.lua)
  ARGV[1] id
  ARGV[2] the channel on which replicas learn of it
  Returns 1.
]]
local id = ARGV[1]
-- Both hashes are small: some fields for each key and product that is benched or has a quota.
for _, key in ipairs(KEYS) do
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local next_character = string.sub(field, #id + 1, #id + 1)
    if string.sub(field, 1, #id) == id and (next_character == ':' or next_character == '/') then
      redis.call('HDEL', key, field)
    end
  end
end
redis.call('PUBLISH', ARGV[2], cjson.encode({ id = id, state = 'released' }))
return 1
