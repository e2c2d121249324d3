import type { ErrorCode } from '@ipfleet/core/proxy-error.ts'
import type { Failure, Outcome } from '@ipfleet/cache/outcome.ts'
import type { UpstreamAnswer } from '@ipfleet/upstream/reply.ts'
import { holdsThreat } from './freshness.ts'
import { jsonMembers, type Span } from './json-members.ts'
import { SingleAnswers } from './single-answers.ts'
import type { VerdictInside } from './upstream.ts'

/** The values of a batch's answer by item. */
export interface BatchValues {
  readonly spans: ReadonlyMap<string, Span>
  readonly answers: SingleAnswers
  readonly mayThreaten: boolean
  /** What the items say of the key, and with which statuses: those items are asked again with another key. */
  readonly verdict: VerdictInside | undefined
  readonly unpaid: ReadonlySet<number>
}

/** The answer to one request, of which every byte is read once. */
export class BatchReading {
  readonly #items: readonly string[]
  #body: Buffer | undefined
  #values: BatchValues | undefined

  /** @param items that were asked */
  constructor(items: readonly string[]) {
    this.#items = items
  }

  readonly checks = {
    makesSense: ({ status, body }: UpstreamAnswer): boolean => status !== 200 || this.valuesIn(body) !== undefined,
    verdictInside: ({ status, body }: UpstreamAnswer): VerdictInside | undefined =>
      status === 200 ? this.valuesIn(body)?.verdict : undefined,
  }

  /** Whether upstream took a batch and told of its items, if only to refuse them. */
  get hasValues(): boolean {
    return this.#values !== undefined
  }

  /** Undefined for anything but an object of valid JSON. */
  valuesIn(body: Buffer): BatchValues | undefined {
    if (body === this.#body) return this.#values
    const spans = jsonMembers(body)
    this.#body = body
    this.#values = spans && valuesOf(spans, body, this.#items)
    return this.#values
  }
}

/** What upstream adds to what was asked says nothing. */
function valuesOf(spans: ReadonlyMap<string, Span>, body: Buffer, items: readonly string[]): BatchValues {
  const answers = new SingleAnswers(body)
  const asked = answers.mayFail ? items.flatMap((item) => spans.get(item) ?? []) : []
  const statuses = asked.map((span) => answers.statusAt(span))
  // Not with the answers of all items: each of those is read once.
  const first = (): UpstreamAnswer => new SingleAnswers(body).at(asked[0] as Span)
  return { spans, answers, mayThreaten: holdsThreat(body), ...verdictOf(statuses, first) }
}

const overLimit: ReadonlySet<number> = new Set([402, 429])
const refused: ReadonlySet<number> = new Set([401, 403])
/**
 * Items beyond a key's quota are answered by embedded 429s or 402s, and asked again with another key. Of items that are
 * refused, a single one may be about a blocked address; if all are, that is a verdict like one about the batch.
 */
function verdictOf(statuses: readonly number[], first: () => UpstreamAnswer): Pick<BatchValues, 'verdict' | 'unpaid'> {
  const limit = statuses.find((status) => overLimit.has(status))
  if (limit !== undefined) {
    const areAll = statuses.every((status) => overLimit.has(status))
    return { verdict: { kind: 'limited', reason: limit === 402 ? 'exhausted' : 'limited', areAll }, unpaid: overLimit }
  }
  const areAllRefused = statuses.length > 0 && statuses.every((status) => refused.has(status))
  return { verdict: areAllRefused ? { kind: 'denied', answer: first() } : undefined, unpaid: none }
}

const none: ReadonlySet<number> = new Set()

/** Every key was refused: the batch itself, or all of its items. */
export function isRefusal(outcome: Outcome): boolean {
  return outcome.kind === 'answer' && refused.has(outcome.answer.status)
}

/** The values by item, or why there are none. */
export function valuesIn(outcome: Outcome, reading: BatchReading): BatchValues | Failure {
  if (outcome.kind === 'failure') return outcome
  const { status, body } = outcome.answer
  const values = status === 200 ? reading.valuesIn(body) : undefined
  if (values) return values
  // Refused as a whole, though each item makes sense by itself.
  return unusable('upstream_invalid', `batch answered with ${status}`, outcome)
}

/** What upstream has sent for a batch, or for an item of it, and is no answer. */
export function unusable(code: ErrorCode, detail: string, { origin }: Pick<Outcome, 'origin'>): Failure {
  return { kind: 'failure', code, detail, wasAsked: true, ...(origin && { origin }) }
}
