import { type ErrorCode, isErrorCode } from '@ipfleet/core/proxy-error.ts'
import { formatTraceparent, isSampled, parseTraceparent, type TraceContext } from '@ipfleet/core/trace-context.ts'
import { decodeAnswer, encodeAnswer } from './answer-codec.ts'
import type { Answer } from './entry.ts'

/** What is known only where the load was made: for logs, never shared. */
export interface Origin {
  /** Hash of the key that was used. */
  readonly keyId?: string
  readonly upstreamStatus?: number
}

/** Of all outcomes. */
interface Led {
  readonly origin?: Origin
  /** The span of the load that brought it, while tracing is on: for the spans of those who waited for it. */
  readonly leader?: TraceContext | undefined
}

export interface Failure extends Led {
  readonly kind: 'failure'
  readonly code: ErrorCode
  /** Whole seconds. */
  readonly retryAfterSeconds?: number
  /** For the log only. */
  readonly detail?: string
  /** Upstream was asked, and this came of it. */
  readonly wasAsked?: boolean | undefined
  /** The keys may have something left, which this load was to leave to others: to those it says nothing. */
  readonly sparesReserve?: boolean
}

export interface AnswerOutcome extends Led {
  readonly kind: 'answer'
  readonly answer: Answer
  /** 0: it is passed on but not kept. */
  readonly freshForMs: number
  /** For the client whose request it was: those who waited for it ask themselves. It is not kept, either. */
  readonly isPrivate?: true
}

export type Outcome = AnswerOutcome | Failure

/** What waiters on other replicas read: an outcome, or that it was too large to share and they must ask themselves. */
export type SharedOutcome = Outcome | { readonly kind: 'unshared' }

/**
 * An outcome as it may be shared: not at all where upstream forbids it or `isPrivate`, but then that there is nothing
 * (400, 404) may be told to all.
 */
export function shareable(outcome: Outcome, isPrivate = false): Outcome {
  if (outcome.kind === 'failure') return outcome
  const { answer } = outcome
  const isForOne = answer.isPrivate === true || (isPrivate && answer.status < 400)
  return isForOne ? { ...outcome, freshForMs: 0, isPrivate: true } : outcome
}

const maxSharedBytes = 1024 * 1024
const keepAnswerMs = 2000
/** Short: it stops waiters from repeating a failure one after another, not callers from trying again. */
const keepFailureMs = 1000

export const outcomeCodec = {
  encode(outcome: SharedOutcome): Buffer {
    switch (outcome.kind) {
      case 'answer':
        if (outcome.isPrivate || outcome.answer.body.length > maxSharedBytes) return encodeLine({ kind: 'unshared' })
        return encodeAnswer(outcome.answer, { freshFor: outcome.freshForMs, ...leaderField(outcome) })
      case 'failure': {
        const { kind, code, retryAfterSeconds, wasAsked } = outcome
        return encodeLine({ kind, code, retryAfterSeconds, wasAsked, ...leaderField(outcome) })
      }
      case 'unshared':
        return encodeLine(outcome)
    }
  },

  decode(bytes: Buffer): SharedOutcome | undefined {
    const decoded = decodeAnswer(bytes)
    if (!decoded) return decodeLine(bytes)
    const { freshFor, leader } = decoded.about
    if (typeof freshFor !== 'number') return undefined
    return { kind: 'answer', answer: decoded.answer, freshForMs: freshFor, ...leaderIn(leader) }
  },

  keepMs(outcome: SharedOutcome): number {
    if (outcome.kind !== 'answer') return keepFailureMs
    // Gone before the answer is old enough to be refreshed: a refresh must not be answered with what it replaces.
    return outcome.freshForMs > 0 ? Math.ceil(Math.min(keepAnswerMs, outcome.freshForMs / 2)) : keepAnswerMs
  },

  concernsOthers: (outcome: SharedOutcome): boolean => outcome.kind !== 'failure' || outcome.sparesReserve !== true,

  /** An answer that must not be cached serves those who waited for it, and none after them. */
  servesLatecomers: (outcome: SharedOutcome): boolean =>
    outcome.kind === 'failure' || (outcome.kind === 'answer' && outcome.freshForMs > 0),
}

/** Only what is sampled can be found in a trace. */
const leaderField = ({ leader }: Led): { readonly leader?: string } =>
  leader && isSampled(leader) ? { leader: formatTraceparent(leader) } : {}

function leaderIn(field: unknown): Pick<Led, 'leader'> {
  const leader = typeof field === 'string' ? parseTraceparent(field) : undefined
  return leader ? { leader } : {}
}

const encodeLine = (value: object): Buffer => Buffer.from(JSON.stringify(value))

function decodeLine(bytes: Buffer): SharedOutcome | undefined {
  try {
    const { leader, ...value } = JSON.parse(bytes.toString()) as SharedOutcome & { readonly leader?: unknown }
    if (value.kind === 'failure') return isErrorCode(value.code) ? { ...value, ...leaderIn(leader) } : undefined
    return value.kind === 'unshared' ? value : undefined
  } catch {
    return undefined
  }
}
