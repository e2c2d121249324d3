--[[
  Publishes the outcomes of subjects, each only if its lease is still the caller's: a holder that was paused past its
  lease thus overwrites nothing newer. Only channels on which a replica listens are told. Safe to run twice.

  KEYS[1…n]    the leases of the n subjects
  KEYS[n+1…2n] their outcomes
  ARGV[1] the caller's lease token
  ARGV[2] the sizes of the outcomes in bytes, a JSON array
  ARGV[3] the outcomes' bytes, one after the other
  ARGV[4] how long each outcome is kept, in milliseconds, a JSON array
  ARGV[5] what the name of a channel on which others wait begins with; it ends as the key of the lease
  ARGV[6] 1 when replicas may listen at other nodes of a Cluster: all channels are told then
  Returns a digit for each subject: 1 when published, 0 when the lease was lost.
]]
local count = #KEYS / 2
local sizes, keeps = cjson.decode(ARGV[2]), cjson.decode(ARGV[4])
local holders = redis.call('MGET', unpack(KEYS, 1, count))
local channels = {}
for at = 1, count do
  channels[at] = ARGV[5] .. string.match(KEYS[at], '{.*')
end
-- A list of each channel and the number of its listeners.
local listeners = ARGV[6] ~= '1' and redis.call('PUBSUB', 'NUMSUB', unpack(channels))
local published, own, told = {}, {}, {}
local from = 1
for at = 1, count do
  local after = from + sizes[at]
  if holders[at] == ARGV[1] then
    redis.call('SET', KEYS[count + at], string.sub(ARGV[3], from, after - 1), 'PX', keeps[at])
    own[#own + 1] = KEYS[at]
    published[at] = '1'
    if not listeners or tonumber(listeners[2 * at]) > 0 then
      told[#told + 1] = channels[at]
    end
  else
    published[at] = '0'
  end
  from = after
end
if #own > 0 then
  redis.call('DEL', unpack(own))
end
for _, channel in ipairs(told) do
  redis.call('PUBLISH', channel, '')
end
return table.concat(published)
