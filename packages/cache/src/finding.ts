import type { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { TraceContext } from '@ipfleet/core/trace-context.ts'
import { type Answer, Entry } from './entry.ts'
import type { Settle } from './flight/load.ts'
import type { AnswerOutcome, Failure, Origin, Outcome } from './outcome.ts'

/**
 * Where an answer came from: memory, Redis, a load of this request, a load that another request had begun, or either
 * tier past its freshness.
 */
export type Source = 'l1' | 'l2' | 'upstream' | 'collapsed' | 'stale'

export interface Found {
  readonly kind: 'found'
  readonly source: Source
  readonly entry: Entry
  readonly origin?: Origin
  /** As in `Outcome`. */
  readonly leader?: TraceContext
  /** For the client alone whose request found it. */
  readonly isPrivate?: true
}

export type Finding =
  | Found
  | {
      readonly kind: 'failed'
      readonly source: 'upstream' | 'collapsed'
      readonly failure: Failure
      /** The last good answer, if it is not too old to be of use. */
      readonly stale: Entry | undefined
      readonly origin?: Origin
      readonly leader?: TraceContext
    }

/** `refresh`: the client already has an answer, so this load may be left undone. */
export type LoadPurpose = 'answer' | 'refresh'

/** Loads queries, and settles every one of them, in as many steps as it likes. */
export type LoadMany = (queries: readonly string[], settle: Settle<Outcome>, purpose: LoadPurpose) => Promise<void>

/** Whether an answer holds less than an earlier one to the same query. */
export type IsPoorer = (answer: Answer, before: Answer) => boolean

/** How long an answer that holds more stands for a poorer one before that is asked for again. */
const maxHoldMs = 60_000

/** What another caller of this process has found. */
export function asJoined(finding: Finding): Finding {
  return finding.source === 'upstream' ? { ...finding, source: 'collapsed' } : finding
}

/** Another caller's load left the keys a reserve: perhaps this one need not, and it has to ask itself. */
export function isOthersReserve(finding: Finding): boolean {
  return finding.kind === 'failed' && finding.source === 'collapsed' && finding.failure.sparesReserve === true
}

/** Another caller's load brought what is for its own client. */
export function isOthersPrivate(finding: Finding): boolean {
  return finding.kind === 'found' && finding.source === 'collapsed' && finding.isPrivate === true
}

/** What a client's own load brought that no other client may have. */
export function privateFinding(outcome: Outcome, nowMs: number): Finding {
  const source = 'upstream'
  const origin = outcome.origin ? { origin: outcome.origin } : {}
  if (outcome.kind === 'failure') return { kind: 'failed', source, failure: outcome, stale: undefined, ...origin }
  return { kind: 'found', source, entry: new Entry(outcome.answer, nowMs, 0), ...origin, isPrivate: true }
}

/** The better of what the shared tier and memory hold, at most stale. */
export function heldFinding(
  stored: Entry | undefined,
  remembered: Entry | undefined,
  nowMs: number,
  staleForMs: number,
): Found | undefined {
  const entry = bestOf(stored, remembered, nowMs, staleForMs)
  if (entry === undefined) return undefined
  const tier = entry === stored ? 'l2' : 'l1'
  return { kind: 'found', source: entry.freshLeftMs(nowMs) > 0 ? tier : 'stale', entry }
}

/** Of two that are not dead the one that says something; of two such, the one that was stored later. */
function bestOf(
  one: Entry | undefined,
  other: Entry | undefined,
  nowMs: number,
  staleForMs: number,
): Entry | undefined {
  const living = [one, other].filter((entry) => entry !== undefined && entry.freshness(nowMs, staleForMs) !== 'dead')
  const [first, second] = living
  if (first === undefined || second === undefined) return first
  if (first.isNegative !== second.isNegative) return first.isNegative ? second : first
  return first.storedAtMs > second.storedAtMs ? first : second
}

interface LoadedOptions {
  /** This caller's own load brought it. */
  readonly led: boolean
  /** The newest that there was to begin with. */
  readonly best: Entry | undefined
  readonly nowMs: number
  readonly loadMs: number
  readonly staleForMs: number
  readonly isPoorer: IsPoorer | undefined
}

/** What a load has brought; or what there was, where that is better. */
export function loadedFinding(
  outcome: Outcome,
  { led, best, nowMs, loadMs, staleForMs, isPoorer }: LoadedOptions,
): Finding {
  const source = led ? 'upstream' : 'collapsed'
  const { leader } = outcome
  const origin = { ...(led && outcome.origin && { origin: outcome.origin }), ...(leader && { leader }) }
  const freshness = best?.freshness(nowMs, staleForMs) ?? 'dead'
  if (outcome.kind === 'failure') {
    return { kind: 'failed', source, failure: outcome, stale: freshness === 'stale' ? best : undefined, ...origin }
  }
  if (best && freshness !== 'dead' && isOutweighed(outcome, best, isPoorer)) {
    return { kind: 'found', source: 'stale', entry: best, ...origin }
  }
  const entry = new Entry(outcome.answer, nowMs, outcome.freshForMs, led ? loadMs : 0)
  return { kind: 'found', source, entry, ...origin, ...(outcome.isPrivate && { isPrivate: true }) }
}

/** Upstream says that there is nothing, or nothing for us, where there was something before, or less than before. */
function isOutweighed({ answer }: AnswerOutcome, before: Entry, isPoorer?: IsPoorer): boolean {
  if (before.isNegative) return false
  return answer.status >= 400 || isPoorer?.(answer, before.answer) === true
}

/** For how long a good entry stands for what outweighs nothing. */
export function holdMs({ answer, freshForMs }: AnswerOutcome): number {
  return answer.status >= 400 ? freshForMs : Math.min(freshForMs, maxHoldMs)
}

export function failureOf({ code, detail, retryAfterSeconds }: ProxyError): Failure {
  return {
    kind: 'failure',
    code,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(detail === undefined ? {} : { detail }),
  }
}
