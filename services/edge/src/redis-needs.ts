/** What this service asks of Redis: commands, and libraries of Lua (see `self-test.lua`). The README lists them for ACLs. */
export const redisNeeds: readonly string[] = `
  GET HMGET HSET PEXPIRE SET TIME ZADD ZCARD ZREM ZREMRANGEBYSCORE
`
  .trim()
  .split(/\s+/)
