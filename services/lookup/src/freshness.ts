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
 * How long an answer is fresh; 0 keeps it out of the caches. Only what is true of the question is cached: a record,
 * or that there is none (400, 404). What is true of a key or of a moment (401, 403, 429, 5xx) never is.
 */
export function freshForMs(rules: FreshnessRules, path: string, { status, body }: UpstreamAnswer): number {
  if (body.length > rules.maxBodyBytes) return 0
  if (status === 400 || status === 404) return rules.negativeTtlMs
  if (status !== 200) return 0
  return isThreat(path, body) ? rules.threatTtlMs : rules.geoTtlMs
}

const threatPath = /\/(privacy|privacy_extended|abuse|resproxy)(\/|$)/
/** Members of records that hold privacy, abuse or proxy data, whichever product they are from. */
const threatMembers = ['"privacy"', '"abuse"', '"resproxy"', '"anonymous"', '"is_anonymous"', '"vpn"', '"proxy"']

function isThreat(path: string, body: Buffer): boolean {
  return threatPath.test(path) || threatMembers.some((member) => body.includes(member))
}
