/** What this service asks of Redis: commands, and libraries of Lua (see `self-test.lua`). The README lists them for ACLs. */
export const redisNeeds: readonly string[] = `
  cjson GET HMGET HSET INCR PEXPIRE PTTL PUBLISH SET TIME ZADD ZCARD ZRANGE ZREM ZREMRANGEBYRANK ZREMRANGEBYSCORE
  ZREVRANGEBYSCORE ZSCORE
`
  .trim()
  .split(/\s+/)
