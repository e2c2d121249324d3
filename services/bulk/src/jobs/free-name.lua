--[[
  Frees a name, as long as it stands for that job.

  KEYS[1] the name
  ARGV[1] the job's id
  Returns 1, or 0 when it stands for another one, or for none.
]]
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
