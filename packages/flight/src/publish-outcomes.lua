--[[
  Publishes the outcomes of many subjects, each as publish-outcome.lua does: only if the lease is still the caller's
  own. Safe to run twice.

  KEYS[2n-1] the lease of the n-th subject
  KEYS[2n]   its outcome
  ARGV[1]    the caller's lease token
  ARGV[3n-1] the outcome's bytes
  ARGV[3n]   how long the outcome is kept, in milliseconds
  ARGV[3n+1] the channel on which others wait
  Returns for each subject 1 when published, 0 when the lease was lost.
]]
local published = {}
for at = 1, #KEYS, 2 do
  local arg = (at - 1) / 2 * 3 + 2
  if redis.call('GET', KEYS[at]) == ARGV[1] then
    redis.call('SET', KEYS[at + 1], ARGV[arg], 'PX', ARGV[arg + 1])
    redis.call('DEL', KEYS[at])
    redis.call('PUBLISH', ARGV[arg + 2], '')
    published[#published + 1] = 1
  else
    published[#published + 1] = 0
  end
end
return published
