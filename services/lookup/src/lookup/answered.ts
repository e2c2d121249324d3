import type { Entry } from '@ipfleet/cache/entry.ts'
import type { Finding } from '@ipfleet/cache/finding.ts'
import type { Failure, Origin } from '@ipfleet/cache/outcome.ts'
import { type ErrorCode, ProxyError } from '@ipfleet/core/proxy-error.ts'

/**
 * How a look-up ended. Beyond the cache's own sources: `stale` (too old, but there is nothing newer), `bypass`
 * (upstream, without looking into the cache), `offline` (the embedded database), `local` (needs no look-up), `refused`
 * (it makes no sense, and nothing was asked), `error`.
 */
export const answerEnds = [
  'l1',
  'l2',
  'stale',
  'collapsed',
  'upstream',
  'bypass',
  'offline',
  'local',
  'refused',
  'error',
] as const

export type AnswerEnd = (typeof answerEnds)[number]
export type AnswerSource = Exclude<AnswerEnd, 'refused' | 'error'>
/** How many items of a batch ended how. */
export type ItemCounts = Readonly<Partial<Record<AnswerEnd, number>>>

/** Refused for what the client sent; nothing was looked up. */
const refusals: ReadonlySet<ErrorCode> = new Set([
  'bad_request',
  'wrong_ip',
  'wrong_product_ip',
  'not_found',
  'method_not_allowed',
  'payload_too_large',
  'unsupported_media_type',
  'request_timeout',
  'client_left',
  'uri_too_long',
  'token_missing',
  'unknown_token',
  'rate_limited',
  'client_share',
  'not_cached',
])

export const endOf = ({ code }: { readonly code: ErrorCode }): AnswerEnd => (refusals.has(code) ? 'refused' : 'error')

export interface Answered {
  readonly source: AnswerSource
  readonly entry: Entry
  /** What it was loaded with, if this request loaded it. */
  readonly origin?: Origin
  /** Queries that it put to upstream, where that is not one for an `origin` and none without: a batch's items. */
  readonly units?: number
  readonly items?: ItemCounts
  /** Some items of a batch had no answer: when to ask for them again, in whole seconds. */
  readonly retryAfterSeconds?: number
}

export type QueryResult =
  | ({ readonly kind: 'answered' } & Pick<Answered, 'source' | 'entry' | 'origin'>)
  | { readonly kind: 'failed'; readonly failure: Failure; readonly source?: AnswerSource; readonly origin?: Origin }

/** By target. */
export type Results = Map<string, QueryResult>

export const failed = (code: ErrorCode): QueryResult & { kind: 'failed' } => ({
  kind: 'failed',
  failure: { kind: 'failure', code },
})

export const originOf = ({ origin }: { readonly origin?: Origin | undefined }): { origin?: Origin } =>
  origin ? { origin } : {}

/** What the caches and a load have brought. */
export function resultOf(finding: Finding): QueryResult {
  const origin = originOf(finding)
  if (finding.kind === 'found') return { kind: 'answered', source: finding.source, entry: finding.entry, ...origin }
  if (finding.stale) return { kind: 'answered', source: 'stale', entry: finding.stale, ...origin }
  return { kind: 'failed', failure: finding.failure, source: finding.source, ...origin }
}

/** Upstream units that a request has caused: one if it asked, more if it says so (a batch). */
export function unitsOf({ units, origin }: Pick<Answered, 'units'> & { readonly origin?: Origin | undefined }): number {
  return units ?? (origin === undefined ? 0 : 1)
}

/** No answer, and with what it was tried. */
export class LookupError extends ProxyError {
  readonly origin: Origin | undefined
  /** Whether upstream was asked, by this request or the one that it waited for. */
  readonly wasAsked: boolean
  /** How it was looked up. */
  readonly source: AnswerSource

  constructor({ code, origin, wasAsked = false, ...details }: Failure, source: AnswerSource = 'upstream') {
    super(code, details)
    this.origin = origin
    this.wasAsked = wasAsked
    this.source = source
  }
}

/** No answer to any item of a batch, and what became of them all the same. */
export class BatchError extends LookupError implements Pick<Answered, 'items' | 'units'> {
  readonly items: ItemCounts
  readonly units: number

  constructor(failure: Failure, { items, units }: Required<Pick<Answered, 'items' | 'units'>>) {
    super(failure)
    this.items = items
    this.units = units
  }
}
