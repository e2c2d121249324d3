--[[
  What the commands of the key store share: this stands in front of each of them.

  A scope is a key, `<id>`, or a key for one product, `<id>/<product>`. Times are in milliseconds since 1970, by the
  server's clock. Keys and fields are those of the release before: replicas of both work on the same state.

  KEYS[1] the benches: fields <scope>:until, :strikes, :reason, :status, :trial
  KEYS[2] the turns: fields <id>:gained (of round robin), <id>:taken, <id>:overage (units ever taken; those of them that
          its plan did not pay for), <id>:day and <id>:today (the day since 1970, UTC, and units of that day)
  KEYS[3] the quotas: fields <scope>:<source>:left, :limit, :total, :until; the source is account or reply
  KEYS[4] the lessons: fields <scope>:until, :richness, and :learning (until when a request finds out)
  ARGV[1] the arguments, as JSON
  ARGV[2] the channel on which replicas learn of changes
]]
local benches_key, turns_key, quotas_key, lessons_key = unpack(KEYS)
local given = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local day_ms = 86400000

local function scope_of(id, product)
  return product and id .. '/' .. product or id
end

local function number_at(key, field)
  return tonumber(redis.call('HGET', key, field) or 0)
end

-- Lua writes large numbers with an exponent.
local function digits(number)
  return string.format('%.0f', number)
end

-- A hash is forgotten a day after what it holds: keys that are never used again go with it.
local function keep(key, for_ms)
  redis.call('PEXPIRE', key, digits(math.max(for_ms, redis.call('PTTL', key))))
end

local function publish(change)
  redis.call('PUBLISH', ARGV[2], cjson.encode(change))
end
