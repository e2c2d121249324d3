--[[
  Ends a bench before its time.

  KEYS[1] the benches (see hold-bench.lua)
  ARGV[1] what is benched
  ARGV[2] the channel on which replicas learn of it
  ARGV[3] what kind of bench it is, for them
  Returns 1 if it was benched, else 0.
]]
local ended = redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[2], cjson.encode({ kind = ARGV[3], member = ARGV[1], remainingMs = 0 }))
return ended
