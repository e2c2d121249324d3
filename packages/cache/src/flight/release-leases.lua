--[[
  Gives back those leases that are still the caller's own. Safe to run twice.

  KEYS    the leases
  ARGV[1] the caller's lease token
  Returns how many were given back.
]]
local released = 0
for _, lease in ipairs(KEYS) do
  if redis.call('GET', lease) == ARGV[1] then
    released = released + redis.call('DEL', lease)
  end
end
return released
