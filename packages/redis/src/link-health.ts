import type { RedisLink } from './redis-link.ts'

/** A link in `/health`. */
export interface LinkHealth {
  readonly state: 'up' | 'down'
  /** What is wrong, and what to do. */
  readonly reason?: string
  /** ISO 8601. */
  readonly since?: string
}

export function linkHealth({ up, condition: { trouble } }: RedisLink): LinkHealth {
  const state = up ? 'up' : 'down'
  if (!trouble) return up ? { state } : { state, reason: 'not connected yet' }
  return { state, reason: trouble.problem.message, since: new Date(trouble.sinceMs).toISOString() }
}
