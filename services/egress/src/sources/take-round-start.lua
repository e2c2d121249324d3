--[[
  Where a replica begins its rounds: one further than the replica before it. Run twice, it leaves out one.

  KEYS[1] how many have begun
  ARGV[1] for how long that is remembered, in milliseconds
  Returns how many had begun before.
]]
local begun = redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return begun - 1
