--[[
  What a waiter needs to know, in one step.

  KEYS[1] the lease
  KEYS[2] the outcome
  Returns {outcome's bytes or false, milliseconds that the lease still has, or negative when no replica holds it}.
]]
return { redis.call('GET', KEYS[2]), redis.call('PTTL', KEYS[1]) }
