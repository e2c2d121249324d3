--[[
  Claims the leases of many subjects in one step, in the form that redlock gives them, so that single flights and
  batches keep each other out. What has landed is told instead of leased, unless the caller has no use for it. Safe to
  run twice: a lease that the caller holds is granted again. All subjects are on one server, as every lease is.

  KEYS[2n-1] the lease of the n-th subject
  KEYS[2n]   its outcome
  ARGV[1] the caller's lease token
  ARGV[2] the life of a lease, in milliseconds
  ARGV[3] '1' to lease also what has landed
  Returns for each subject {what it is, outcome's bytes or false}: 0 held by someone else, 1 leased to the caller,
  2 landed. The outcome of a held subject is an earlier flight's.
]]
local claims = {}
for at = 1, #KEYS, 2 do
  local holder = redis.call('GET', KEYS[at])
  if holder and holder ~= ARGV[1] then
    claims[#claims + 1] = { 0, redis.call('GET', KEYS[at + 1]) }
  else
    local outcome = not holder and ARGV[3] ~= '1' and redis.call('GET', KEYS[at + 1])
    if outcome then
      claims[#claims + 1] = { 2, outcome }
    else
      redis.call('SET', KEYS[at], ARGV[1], 'PX', ARGV[2])
      claims[#claims + 1] = { 1, false }
    end
  end
end
return claims
