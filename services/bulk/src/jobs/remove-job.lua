--[[
  Forgets a job. Its inputs and results are freed in the background.

  KEYS[1…5] the job and what belongs to it
  ARGV[1] the channel of changes, ARGV[2] the job's id
  ARGV[3] the channel of jobs that nobody is to work on any more
  Returns 1.
]]
for index = 1, 5 do
  redis.call('UNLINK', KEYS[index])
end
redis.call('PUBLISH', ARGV[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[2])
return 1
