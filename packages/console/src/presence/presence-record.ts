import { hostname } from 'node:os'
import { version } from '@ipfleet/settings/version.ts'
import type { BackendRow, BreakerRow, ServiceName, SourceRow } from '../contract.ts'

/** What a process says of itself, every five seconds. No secrets: who may read Redis, and who may see the console, reads it. */
export interface PresenceRecord {
  readonly id: string
  readonly service: ServiceName
  readonly version: string
  /** ISO 8601. */
  readonly startedAt: string
  readonly state: 'ok' | 'degraded'
  readonly reason?: string
  readonly requestsPerSecond?: number
  readonly rssMb?: number
  /** Of a replica. */
  readonly breakers?: readonly BreakerRow[]
  readonly backends?: readonly Omit<BackendRow, 'edge'>[]
  readonly sources?: readonly Omit<SourceRow, 'egress'>[]
}

export interface SeenRecord extends PresenceRecord {
  readonly seenMsAgo: number
}

/** By host and port, so that a process which is started again takes the place of the one before. */
export const presenceId = (port: number, worker?: number): string =>
  `${hostname()}:${port}${worker === undefined ? '' : `/${worker}`}`

const startedAt = new Date(Date.now() - process.uptime() * 1000).toISOString()

/** What every process can say of itself. */
export function processFacts(): Required<Pick<PresenceRecord, 'version' | 'startedAt' | 'rssMb'>> {
  return { version, startedAt, rssMb: Math.round(process.memoryUsage.rss() / 1_048_576) }
}

/** @param troubles each a sentence; undefined: none */
export function stateWith(troubles: readonly (string | undefined)[]): Pick<PresenceRecord, 'state' | 'reason'> {
  const reason = troubles.filter((trouble) => trouble !== undefined).join('; ')
  return reason === '' ? { state: 'ok' } : { state: 'degraded', reason }
}
