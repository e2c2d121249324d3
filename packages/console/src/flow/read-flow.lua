-- Reads what all replicas have counted in some minutes.
-- KEYS    the minutes, at most 61
-- Returns for each minute the list of fields and values of its hash.
local minutes = {}
for index, key in ipairs(KEYS) do minutes[index] = redis.call('HGETALL', key) end
return minutes
