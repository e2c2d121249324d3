--[[
  Tries the commands that a service needs on keys that are gone again afterwards. Safe to run twice.

  KEYS[1] a key of the fleet
  ARGV[1] a channel of the fleet
  ARGV[2…] what is needed: commands in upper case, or a library of Lua (`cjson`, `cmsgpack`)
  Returns {what went wrong, the error, …}; empty when all was done.
]]
local key = KEYS[1]
local arguments = {
  GET = { key }, MGET = { key }, SET = { key, '1', 'PX', 1000, 'NX' }, INCR = { key }, DEL = { key }, UNLINK = { key },
  EXISTS = { key }, PTTL = { key }, PEXPIRE = { key, 1000 }, PERSIST = { key }, TIME = {},
  HGET = { key, 'f' }, HMGET = { key, 'f' }, HGETALL = { key }, HKEYS = { key }, HLEN = { key }, HEXISTS = { key, 'f' }, HSTRLEN = { key, 'f' },
  HSET = { key, 'f', '1' }, HMSET = { key, 'f', '1' }, HINCRBY = { key, 'f', 1 }, HDEL = { key, 'f' },
  RPUSH = { key, '1' }, LPUSH = { key, '1' }, LRANGE = { key, 0, 0 }, LLEN = { key }, LREM = { key, 1, '1' },
  LPOS = { key, '1' }, LINDEX = { key, 0 }, LPOP = { key }, RPOP = { key }, LTRIM = { key, 0, -1 }, RPOPLPUSH = { key, key },
  SADD = { key, '1' }, SREM = { key, '1' }, SCARD = { key }, SMEMBERS = { key }, SISMEMBER = { key, '1' },
  ZADD = { key, 0, '1' }, ZREM = { key, '1' }, ZCARD = { key }, ZCOUNT = { key, 0, 0 }, ZSCORE = { key, '1' },
  ZRANGE = { key, 0, 0 }, ZREVRANGE = { key, 0, 0 }, ZRANGEBYSCORE = { key, 0, 0 }, ZREVRANGEBYSCORE = { key, 0, 0 },
  ZREVRANGEBYLEX = { key, '+', '-' }, ZREMRANGEBYRANK = { key, 0, 0 }, ZREMRANGEBYSCORE = { key, 0, 0 },
  ZPOPMIN = { key },
  XADD = { key, '*', 'f', '1' }, XTRIM = { key, 'MAXLEN', 0 },
  PUBLISH = { ARGV[1], '' }, PUBSUB = { 'NUMSUB', ARGV[1] },
}
local libraries = {
  cjson = function() return cjson.decode('[]') end,
  cmsgpack = function() return cmsgpack.pack(1) end,
}
local function refusal(what)
  if libraries[what] then
    local present, message = pcall(libraries[what])
    return not present and tostring(message)
  end
  local reply = redis.pcall(what, unpack(arguments[what]))
  -- In jedis-mock 1.1.11, where each lease would thus be another's.
  if what == 'MGET' and reply[1] == '' then return 'absent keys are not false' end
  -- Of a key that holds something of another type for the moment.
  return type(reply) == 'table' and reply.err and not string.find(reply.err, 'WRONGTYPE', 1, true) and reply.err
end
local found = {}
for at = 2, #ARGV do
  local message = refusal(ARGV[at])
  if message then
    found[#found + 1] = ARGV[at]
    found[#found + 1] = message
  end
end
-- With what the service may do anyway: a refused command is in the server's ACL LOG. What SET alone has made ends by itself.
local removal = { DEL = { key }, PEXPIRE = { key, 0 } }
for at = 2, #ARGV do
  if removal[ARGV[at]] then
    redis.pcall(ARGV[at], unpack(removal[ARGV[at]]))
    break
  end
end
return found
