import type { QuotaRefusal } from '@ipfleet/http-server/connection-limits.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import type { UsersFile } from '../auth/users-file.ts'
import type { EgressSettings } from '../settings.ts'
import type { LiveSourcePool } from '../sources/live-source-pool.ts'

export interface EventSources {
  readonly pool: LiveSourcePool
  readonly authenticator: Authenticator
  readonly users: UsersFile | undefined
}

export function logEvents(logger: Logger, { pool, authenticator, users }: EventSources): void {
  pool.on('out', (source, reason, detail) => logger.warn({ source, reason, detail }, 'source address is out'))
  pool.on('back', (source) => logger.info({ source }, 'source address is back'))
  pool.on('siteBenched', (source, site) => logger.warn({ source, site }, 'source address is refused by a site'))
  pool.on('targetLost', (from, reason) => logger.warn({ from, reason }, 'HEALTH_CHECK_URL is not reached'))
  pool.on('targetBack', (from) => logger.info({ from }, 'HEALTH_CHECK_URL is reached again'))
  authenticator.on('denied', (client, denied) => {
    if (denied.kind === 'limited') logger.warn({ client }, 'too many wrong passwords')
    else if (denied.kind === 'busy') logger.warn({ client }, 'too many passwords wait to be checked')
    else logger.warn({ client, user: denied.user, reason: denied.reason, detail: denied.detail }, 'not let in')
  })
  users?.on('changed', (known) => logger.info({ users: known.size }, 'users file read again'))
  users?.on('bad', (faults) => logger.error({ faults }, 'users file is no good; those before stay'))
}

const tooManyEveryMs = 60_000

/** Makes the function that logs, at most once a minute, that connections are closed because there are too many. */
export function connectionsLog(logger: Logger): (why: QuotaRefusal) => void {
  const toldMs = { all: -Infinity, client: -Infinity }
  return (why) => {
    const nowMs = performance.now()
    if (nowMs - toldMs[why] < tooManyEveryMs) return
    toldMs[why] = nowMs
    const setting = why === 'all' ? 'MAX_CONNECTIONS' : 'MAX_CONNECTIONS_PER_CLIENT'
    logger.warn({ limit: 'connections', setting }, 'a limit is reached')
  }
}

/** Logs at start how the proxy is set up, and what is missing. */
export function logMode(logger: Logger, settings: EgressSettings, { narrowed }: { readonly narrowed: boolean }): void {
  if (narrowed) {
    logger.warn('no PROXY_USER and no USERS_FILE: everybody would be let in, so it listens on loopback only')
  }
  if (settings.IP_POOL.length === 0) {
    logger.warn('no IP_POOL: connections leave by the address that the system chooses, and nothing rotates')
  } else logger.info({ entries: settings.IP_POOL.length, rotation: settings.ROTATION }, 'rotating source addresses')
}
