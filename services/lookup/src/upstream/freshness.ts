import type { UpstreamAnswer } from '@ipfleet/upstream/reply.ts'

/** How long answers are fresh, by what they tell. */
export interface FreshnessRules {
  /** Where an address is and whose it is: changes rarely. */
  readonly geoTtlMs: number
  /** Whether it is a proxy, a VPN, abused: changes by the hour. */
  readonly threatTtlMs: number
  /** That there is no such thing (400, 404). */
  readonly negativeTtlMs: number
  readonly maxBodyBytes: number
}

/**
 * How long an answer is fresh; 0 keeps it out of the caches. Only what is true of the query is cached: a record,
 * or that there is none (400, 404). What is true of a key or of a moment (401, 403, 429, 5xx) never is.
 * What upstream says of it can only make it shorter.
 * @param mayThreaten false when it is known that the body `holdsThreat` not
 */
export function freshForMs(
  rules: FreshnessRules,
  path: string,
  { status, body, maxFreshMs = Number.POSITIVE_INFINITY }: UpstreamAnswer,
  mayThreaten = true,
): number {
  if (body.length > rules.maxBodyBytes) return 0
  if (status === 400 || status === 404) return Math.min(rules.negativeTtlMs, maxFreshMs)
  if (status !== 200) return 0
  const isThreat = threatPath.test(path) || (mayThreaten && holdsThreat(body))
  return Math.min(isThreat ? rules.threatTtlMs : rules.geoTtlMs, maxFreshMs)
}

const threatPath = /\/(privacy|privacy_extended|abuse|resproxy)(\/|$)/
/** Members of records that hold privacy, abuse or proxy data, whichever product they are from. */
const threatMember = /"(?:privacy|abuse|resproxy|anonymous|is_anonymous|vpn|proxy)"/

/** Whether a record holds such data; of many records, whether one of them may. As text: ten times as fast. */
export function holdsThreat(body: Buffer): boolean {
  return threatMember.test(body.toString('latin1'))
}
