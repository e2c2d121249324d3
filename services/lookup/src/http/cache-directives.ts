import type { Entry } from '@ipfleet/cache/entry.ts'

/** What a client's Cache-Control asks for (RFC 9111 §5.2.1), as far as it is heeded here. */
export interface CacheDirectives {
  /** `no-cache`, `no-store`: past the caches. */
  readonly bypass: boolean
  /** Upstream is not to be asked. */
  readonly onlyIfCached: boolean
  /** Heeded with `onlyIfCached`: whether an answer is acceptable. */
  readonly accepts: (entry: Pick<Entry, 'ageMs' | 'freshLeftMs'>, nowMs: number) => boolean
}

const plain: CacheDirectives = { bypass: false, onlyIfCached: false, accepts: () => true }

/** @param field Cache-Control of a request, its lines joined by commas */
export function cacheDirectives(field: string | undefined): CacheDirectives {
  if (field === undefined) return plain
  const directives = new Map(field.split(',').map(nameAndArgument))
  return {
    bypass: directives.has('no-cache') || directives.has('no-store'),
    onlyIfCached: directives.has('only-if-cached'),
    accepts: (entry, nowMs) =>
      entry.ageMs(nowMs) <= argumentMs(directives.get('max-age'), Number.POSITIVE_INFINITY) &&
      entry.freshLeftMs(nowMs) - argumentMs(directives.get('min-fresh'), 0) > -staleMs(directives),
  }
}

function nameAndArgument(directive: string): [string, string] {
  const [name = '', argument = ''] = directive.split('=', 2)
  return [name.trim().toLowerCase(), argument.trim().replaceAll('"', '')]
}

/** Without an argument `max-stale` is for answers of any age. */
function staleMs(directives: ReadonlyMap<string, string>): number {
  const argument = directives.get('max-stale')
  return argument === '' ? Number.POSITIVE_INFINITY : argumentMs(argument, 0)
}

/** Seconds in, milliseconds out. What is no number of seconds is as if it were not there. */
function argumentMs(argument: string | undefined, otherwise: number): number {
  return argument !== undefined && /^\d{1,10}$/.test(argument) ? Number(argument) * 1000 : otherwise
}
