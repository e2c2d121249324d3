import type { KeyPool } from '@ipfleet/key-pool/key-pool.ts'
import type { Limit, Ticket } from '@ipfleet/key-pool/ticket.ts'
import type { Reply, UpstreamAnswer } from '@ipfleet/upstream/reply.ts'

export type Failed = Extract<Reply, { kind: 'failed' }>

/** A verdict about a key that may turn out to be about the source or the query. */
export interface HeldLimit {
  readonly ticket: Ticket
  readonly limit: Limit
}

interface Refusal {
  readonly ticket: Ticket
  readonly answer: UpstreamAnswer
}

/** A full record, with the key that it was asked with. */
export interface Recorded {
  readonly ticket: Ticket
  readonly answer: UpstreamAnswer
  readonly richness?: number | undefined
}

/** That many keys refused alike within moments are evidence enough: it is the source, or the query. */
export const enoughAlike = 3
/** Tries that cost upstream something: 429, failures. Refusals of permission tell about one key and cost nothing. */
const maxCostlyTries = 3
/** Retry-After of two replies may differ by the second in which they were sent. */
const alikeSeconds = 2

/**
 * What one request has met so far, key after key. Verdicts that may turn out not to be about the keys are held back
 * until the request ends.
 */
export class UpstreamTries {
  readonly tried = new Set<string>()
  readonly #pool: KeyPool
  #costly = 0
  #limits: HeldLimit[] = []
  /** Keys that upstream does not know. */
  #unknown: Refusal[] = []
  /** Refusals that may be about the query. */
  #ofQuery: Refusal[] = []
  /** Refusals that are about the query, or about keys that may not ask the product. */
  #suspected: Refusal[] = []
  /** The first refusal of the product. */
  denial: UpstreamAnswer | undefined
  /** A key was met of which it could not be found out whether upstream knows it. */
  hasUnsettled = false
  /** An answer that another key's may hold more than. */
  poorer: Recorded | undefined
  failure: { readonly reply: Failed; readonly ticket: Ticket } | undefined

  constructor(pool: KeyPool) {
    this.#pool = pool
  }

  get mayTryOn(): boolean {
    return this.#costly < maxCostlyTries
  }

  get hasDenials(): boolean {
    return this.denial !== undefined || this.hasUnsettled
  }

  /** The refusal of the query, once enough keys agree or there is no other key. */
  get queryRefusal(): Refusal | undefined {
    return this.#ofQuery[0]
  }

  get isQueryRefused(): boolean {
    return this.#ofQuery.length >= enoughAlike
  }

  get limitCount(): number {
    return this.#limits.length
  }

  /** The longest Retry-After that upstream has told. */
  get toldSeconds(): number | undefined {
    const told = this.#limits.flatMap(({ limit }) => limit.retryAfterSeconds ?? [])
    return told.length > 0 ? Math.max(...told) : undefined
  }

  failed(ticket: Ticket, reply: Failed): void {
    this.#costly += 1
    this.failure = { reply, ticket }
  }

  limited(ticket: Ticket, limit: Limit): void {
    this.#costly += 1
    this.#limits.push({ ticket, limit })
  }

  unknown(ticket: Ticket, answer: UpstreamAnswer): void {
    this.#unknown.push({ ticket, answer })
  }

  /** @param query that the refusal may be about instead */
  async deniedProduct(ticket: Ticket, answer: UpstreamAnswer, query: string | undefined): Promise<void> {
    this.denial ??= answer
    if (query !== undefined) this.#suspected.push({ ticket, answer })
    await this.#pool.denied(ticket, 'product', answer.status, query)
  }

  refusedQuery(ticket: Ticket, answer: UpstreamAnswer): void {
    this.#ofQuery.push({ ticket, answer })
  }

  /** Whether every key that was limited was so in the same way, and not for its own quota. */
  async areLimitedAlike(): Promise<boolean> {
    if (this.#limits.length < enoughAlike) return false
    const [first] = this.#limits
    const areAlike = this.#limits.every(({ limit }) => first !== undefined && isAlike(limit, first.limit))
    if (!areAlike) return false
    const areEmpty = await Promise.all(this.#limits.map(({ ticket }) => this.#pool.isNearlyEmpty(ticket)))
    return !areEmpty.includes(true)
  }

  /**
   * Whether several keys are all used up at once (402) that have answered lately, or whose accounts have enough left,
   * which is not how quotas end: it is the query or the source.
   */
  async areUsedUpAlike(): Promise<boolean> {
    const unexplained = this.#limits.filter(
      ({ limit }) => limit.reason === 'exhausted' && limit.retryAfterSeconds === undefined,
    )
    if (unexplained.length < this.#limits.length) return false
    const areEmpty = await Promise.all(
      unexplained.map(async ({ ticket }) => {
        const isEmpty = await this.#pool.isNearlyEmpty(ticket)
        return isEmpty ?? (this.#pool.isProven(ticket) ? false : undefined)
      }),
    )
    return !areEmpty.includes(true) && areEmpty.filter((isEmpty) => isEmpty === false).length >= enoughAlike
  }

  get areUnknownAlike(): boolean {
    return this.#unknown.length >= enoughAlike
  }

  /** It was the source: nothing is held against the keys. */
  async acquit(): Promise<void> {
    for (const { ticket } of this.#held()) await this.#pool.unsettled(ticket)
    for (const { ticket, limit } of this.#limits) {
      if (limit.retryAfterSeconds === undefined) this.#pool.wonder(ticket)
    }
    this.#forget()
  }

  /** Nothing speaks for the keys: what was held against them counts. Of the query nothing is said. */
  async convict(): Promise<void> {
    for (const { ticket, limit } of this.#limits) await this.#pool.limited(ticket, limit)
    for (const { ticket } of this.#unknown) await this.#pool.denied(ticket, 'key', 403)
    for (const { ticket } of this.#ofQuery) await this.#pool.unsettled(ticket)
    this.#limits = []
    this.#unknown = []
  }

  /** Another key has an answer: it was those keys, and not the query. */
  async convictAll(): Promise<void> {
    if (!this.#holdsAny) return
    for (const { ticket, answer } of this.#ofQuery) {
      if (this.#pool.isProven(ticket)) await this.#pool.unsettled(ticket)
      else await this.#pool.denied(ticket, 'product', answer.status)
    }
    for (const { ticket, answer } of this.#suspected) await this.#pool.denied(ticket, 'product', answer.status)
    this.#ofQuery = []
    await this.convict()
    this.#forget()
  }

  get #holdsAny(): boolean {
    return this.#limits.length + this.#unknown.length + this.#ofQuery.length + this.#suspected.length > 0
  }

  #held(): readonly { readonly ticket: Ticket }[] {
    return [...this.#limits, ...this.#unknown, ...this.#ofQuery]
  }

  #forget(): void {
    this.#limits = []
    this.#unknown = []
    this.#ofQuery = []
    this.#suspected = []
  }
}

function isAlike(one: Limit, other: Limit): boolean {
  if (one.reason !== 'limited' || one.reason !== other.reason || one.scope !== other.scope) return false
  const [a, b] = [one.retryAfterSeconds, other.retryAfterSeconds]
  return a === undefined || b === undefined ? a === b : Math.abs(a - b) <= alikeSeconds
}
