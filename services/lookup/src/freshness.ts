import type { UpstreamAnswer } from '@ipfleet/upstream/reply.ts'

export interface FreshnessRules {
  readonly positiveTtlMs: number
  readonly negativeTtlMs: number
  readonly maxBodyBytes: number
}

/**
 * How long an answer is fresh; 0 keeps it out of the caches. Only what is true of the question is cached: a record,
 * or that there is none (400, 404). What is true of a key or of a moment (401, 403, 429, 5xx) never is.
 */
export function freshForMs(rules: FreshnessRules, { status, body }: UpstreamAnswer): number {
  if (body.length > rules.maxBodyBytes) return 0
  if (status === 200) return rules.positiveTtlMs
  return status === 400 || status === 404 ? rules.negativeTtlMs : 0
}
