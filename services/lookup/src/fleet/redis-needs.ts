/** What this service asks of Redis: commands, and libraries of Lua (see `self-test.lua`). The README lists them for ACLs. */
export const redisNeeds: readonly string[] = `
  cjson DEL EXISTS GET HDEL HEXISTS HGET HGETALL HINCRBY HKEYS HLEN HMGET HSET INCR MGET PEXPIRE PTTL PUBLISH PUBSUB SET TIME
  ZADD ZCARD ZRANGE ZREM ZREMRANGEBYSCORE ZSCORE
`
  .trim()
  .split(/\s+/)

/** Of the Redis of REDIS_CACHE_URL. */
export const cacheNeeds: readonly string[] = ['cjson', 'GET', 'MGET', 'SET']
