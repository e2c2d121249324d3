--[[
  Ends a key's benches, for whatever product, and forgets its quota. Safe to run twice.

  Arguments: id.
]]
local id = given.id
-- Both hashes are small: some fields for each key and product that is benched or has a quota.
for _, key in ipairs({ benches_key, quotas_key }) do
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local next_character = string.sub(field, #id + 1, #id + 1)
    if string.sub(field, 1, #id) == id and (next_character == ':' or next_character == '/') then
      redis.call('HDEL', key, field)
    end
  end
end
publish({ id = id, state = 'released' })
