--[[
  KEYS[1] where the argument is stored
  ARGV[1] any bytes
  Returns the argument and its length.
]]
redis.call('SET', KEYS[1], ARGV[1])
return { ARGV[1], #ARGV[1] }
