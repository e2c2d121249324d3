import type { IncomingHttpHeaders } from 'node:http'
import { httpDateMs } from '@ipfleet/core/http-date.ts'
import { sentAtMs } from './retry-time.ts'

/** What upstream says of keeping its answer. Nothing, as IPinfo does: the settings decide. */
export interface SharedLifetime {
  /** It may be kept for so long at most. */
  readonly maxFreshMs?: number
  /** It is for the client that asked: not kept, and not given to others who wait for the same. */
  readonly isPrivate?: true
}

/**
 * Reads Cache-Control, Expires, Age and Vary as a shared cache does (RFC 9111 §3, §4.2, §5.2.2). `no-cache` allows to
 * keep what is validated before each use; since upstream has no validators, that is not to keep it. A `private` or
 * `no-cache` that names fields counts as one without.
 * @param nowMs of the wall clock
 */
export function sharedLifetime(headers: IncomingHttpHeaders, nowMs: number): SharedLifetime {
  const { 'cache-control': control, expires, vary } = headers
  // As IPinfo answers.
  if (control === undefined && expires === undefined && vary === undefined) return {}
  const directives = new Map(
    withoutQuoted(control ?? '')
      .split(',')
      .map(nameAndArgument),
  )
  if (directives.has('no-store') || directives.has('private')) return { isPrivate: true, maxFreshMs: 0 }
  // `Vary: *`: what it depends on is not in the request (§4.1).
  const isForThisRequest = vary?.split(',').some((name) => name.trim() === '*') === true
  if (directives.has('no-cache') || isForThisRequest) return { maxFreshMs: 0 }
  const maxAge = directives.get('s-maxage') ?? directives.get('max-age')
  const ageMs = secondsIn(headers.age ?? '') * 1000
  // A lifetime that cannot be read is over (§4.2.1).
  if (maxAge !== undefined) return { maxFreshMs: Math.max(0, secondsIn(maxAge) * 1000 - ageMs) }
  if (expires === undefined) return {}
  const lifeMs = httpDateMs(expires, nowMs) - sentAtMs(headers, nowMs) - ageMs
  return { maxFreshMs: lifeMs > 0 ? lifeMs : 0 }
}

/** delta-seconds (§1.2.2); 0 for anything else. */
function secondsIn(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : 0
}

/** `private="set-cookie, x"` holds a comma; an argument in quotes is the argument. */
function withoutQuoted(field: string): string {
  return field.replaceAll(/"(\d*)[^"]*"/g, '$1')
}

function nameAndArgument(directive: string): [string, string] {
  const [name = '', argument = ''] = directive.split('=', 2)
  return [name.trim().toLowerCase(), argument.trim()]
}
