--[[
  Claims the leases of many subjects in one step, in the form that redlock gives them, so that single flights and
  batches keep each other out. What has landed is told instead of leased, unless the caller has no use for it. Safe to
  run twice: a lease that the caller holds is granted again. All subjects are on one server, as every lease is.

  KEYS[1…n]    the leases of the n subjects
  KEYS[n+1…2n] their outcomes
  ARGV[1] the caller's lease token
  ARGV[2] the life of a lease, in milliseconds
  ARGV[3] '1' to lease also what has landed
  Returns {a digit for each subject, outcomes' bytes}: 0 held by another, 1 leased to the caller, 2 landed. For
  each 2 there is an outcome, in their order; for each 0 that of an earlier flight, or false.
]]
local count = #KEYS / 2
local holders = redis.call('MGET', unpack(KEYS, 1, count))
local outcomes = ARGV[3] ~= '1' and redis.call('MGET', unpack(KEYS, count + 1))
local states, reply = {}, { '' }
for at = 1, count do
  local holder = holders[at]
  local outcome = outcomes and outcomes[at] or false
  if holder and holder ~= ARGV[1] then
    states[at] = '0'
    reply[#reply + 1] = outcome
  elseif not holder and outcome then
    states[at] = '2'
    reply[#reply + 1] = outcome
  else
    redis.call('SET', KEYS[at], ARGV[1], 'PX', ARGV[2])
    states[at] = '1'
  end
end
reply[1] = table.concat(states)
return reply
