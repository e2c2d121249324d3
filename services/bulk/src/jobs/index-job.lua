--[[
  Puts a job into the lists of jobs. Safe to run twice.

  KEYS[1] the ids of all jobs (sorted set), KEYS[2] those of its owner
  ARGV[1] how long the lists stay when no job is added, in milliseconds
  ARGV[2] its id
]]
for index = 1, 2 do
  redis.call('ZADD', KEYS[index], 0, ARGV[2])
  redis.call('PEXPIRE', KEYS[index], ARGV[1])
end
