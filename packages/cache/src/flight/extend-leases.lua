--[[
  Prolongs those leases that are still the caller's own. Safe to run twice.

  KEYS    the leases
  ARGV[1] the caller's lease token
  ARGV[2] their new life from now, in milliseconds
  Returns how many were prolonged.
]]
local prolonged = 0
for _, lease in ipairs(KEYS) do
  if redis.call('GET', lease) == ARGV[1] then
    prolonged = prolonged + redis.call('PEXPIRE', lease, ARGV[2])
  end
end
return prolonged
