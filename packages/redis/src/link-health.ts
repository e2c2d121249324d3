import type { Topology } from './redis-address.ts'
import type { RedisLink } from './redis-link.ts'

/** A link in `/health`. */
export interface LinkHealth {
  readonly state: 'up' | 'down'
  /** Unless it is a single server. */
  readonly topology?: Exclude<Topology, 'server'>
  /** Host and port of the master that Sentinels have named. */
  readonly master?: string
  /** What is wrong, and what to do. */
  readonly reason?: string
  /** ISO 8601. */
  readonly since?: string
}

export function linkHealth({ up, topology, master, condition: { trouble } }: RedisLink): LinkHealth {
  const state = {
    state: up ? ('up' as const) : ('down' as const),
    ...(topology !== 'server' && { topology }),
    ...(master !== undefined && { master }),
  }
  if (!trouble) return up ? state : { ...state, reason: 'not connected yet' }
  return { ...state, reason: trouble.problem.message, since: new Date(trouble.sinceMs).toISOString() }
}
