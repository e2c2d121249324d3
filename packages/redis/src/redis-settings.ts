import { milliseconds, text } from '@ipfleet/settings/kinds.ts'
import { url } from '@ipfleet/settings/url-setting.ts'
import type { CommonOptions, Given, Setting } from '@ipfleet/settings/setting.ts'
import { defaultPrefix } from './fleet-names.ts'

/** What all services can be told about Redis, apart from where it is. */
export const redisSettings = ({ defaultTimeoutMs = 100, maxTimeoutMs = 1000 } = {}) => ({
  REDIS_PREFIX: text({
    group: 'Redis',
    default: defaultPrefix,
    pattern: /^[\w.-]{1,64}$/,
    allowed: 'up to 64 letters, digits, dots, dashes and underscores',
    help: 'The name of the fleet, before every key and channel. Fleets with different names, or in different databases, share nothing in one Redis',
  }),
  REDIS_TIMEOUT_MS: milliseconds({
    group: 'Redis',
    min: 5,
    max: maxTimeoutMs,
    default: defaultTimeoutMs,
    help: 'Deadline of one Redis command',
  }),
})

/** Where a Redis is: `redis://user:password@host:6379/0`. */
export function redisUrl<Optional extends boolean = false>(
  options: CommonOptions<string, Optional>,
): Setting<Given<string, Optional>> {
  return url({ ...options, protocols: ['redis:', 'rediss:'], without: ['query'], fault: databaseFault })
}

/** ioredis 6.0.0 takes what is no number for one, and ends the process when the server refuses it. */
function databaseFault({ pathname }: URL): string | undefined {
  if (/^\/?(\d{1,5}\/?)?$/.test(pathname)) return undefined
  return 'after the host comes the number of a database, if anything; in a user or password / is written %2F, @ %40 and ? %3F'
}
