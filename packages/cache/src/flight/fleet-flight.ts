import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { between } from '@ipfleet/core/jitter.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { within } from '@ipfleet/core/within.ts'
import { withoutBudget } from '@ipfleet/redis/request-budget.ts'
import type { Claim, LandedOutcome, Lease, Leases, LeaseSession } from './leases.ts'
import { type FlightResult, ledResults, loadAll, type LoadCallbacks, type Settle, type StillWanted } from './load.ts'

export interface OutcomeCodec<T> {
  encode(outcome: T): Buffer
  /** Undefined for bytes that make no sense (another version wrote them). */
  decode(bytes: Buffer): T | undefined
  /** How long an outcome stays for those who come late. */
  keepMs(outcome: T): number
  /** If not, nothing is published: the lease is given back, and those who wait load for themselves. */
  concernsOthers(outcome: T): boolean
  /** Whether it also answers a caller who came after the load had ended, or only those who waited for it. */
  servesLatecomers(outcome: T): boolean
}

/**
 * How a load was not the only one for sure. `away`: Redis could grant no lease. `lost`: the lease had run out, or Redis
 * gave no answer, when the outcome was published. `taken_over`: another replica's load was waited for, and left none.
 */
export const leaseLosses = ['away', 'lost', 'taken_over'] as const

export type LeaseLoss = (typeof leaseLosses)[number]

interface FleetFlightEvents {
  /** Each of so many subjects may be loaded once more than needed. */
  unguarded: [count: number, how: LeaseLoss]
}

/** Of one subject, whose landing wakes the waiter. Messages may be lost and holders may die. */
const recheckMs = { min: 100, max: 300 }
/** Of many, whose landings wake no waiter: a batch is as slow as its last item. Two batches must not ask in step. */
const pollMs = { min: 50, max: 100 }

/**
 * One load per subject in the whole fleet. What no replica is loading is leased and loaded by the caller, what others
 * load is waited for, and what they leave behind (a holder died, its lease ran out) is taken over. No caller waits
 * before its own load has begun, so that two batches that overlap cannot block each other. Duplicates are rare and
 * bounded, not impossible: a holder paused past its lease may load once more than needed.
 */
export class FleetFlight<T> extends EventEmitter<FleetFlightEvents> {
  readonly #leases: Leases
  readonly #codec: OutcomeCodec<T>
  readonly #clock: Clock
  /** Loads of this process that are not shared yet. */
  readonly #leading = new Set<Promise<void>>()

  constructor(leases: Leases, codec: OutcomeCodec<T>, clock: Clock = monotonicClock) {
    super()
    this.#leases = leases
    this.#codec = codec
    this.#clock = clock
  }

  /**
   * Resolves when each subject has landed or is being loaded by the caller.
   * @param deadlineMs monotonic, for what others load. A waiter that passes it gives up; it never loads freely.
   * @param stillWanted resolves with what of them was not found elsewhere. Nothing is loaded before this is known.
   * @throws RedisUnavailable when the fleet cannot be asked about what has not landed and is not being loaded here.
   * @throws ProxyError `upstream_timeout` when the deadline passes while others load.
   */
  async run(
    subjects: readonly string[],
    callbacks: LoadCallbacks<T>,
    deadlineMs: number,
    stillWanted?: StillWanted,
  ): Promise<void> {
    const session = this.#leases.open()
    const waiting = new Set(subjects)
    const awaited = new Set<string>()
    let landing: PromiseWithResolvers<void> | undefined
    let stopListening: (() => void) | undefined
    try {
      for (;;) {
        const claim = (): Promise<Claimed<T>> => this.#claim(session, [...waiting], awaited)
        // Asking again is no wait beside the one for the other replica's load.
        const isFirst = awaited.size === 0
        const claimed = await (isFirst ? claim() : withoutBudget(claim))
        const { lease, leased, landed, leaseLeftMs } =
          isFirst && stillWanted ? await onlyWanted(claimed, stillWanted, waiting) : claimed
        for (const subject of leased) waiting.delete(subject)
        for (const subject of landed.keys()) waiting.delete(subject)
        if (lease && leased.length > 0) this.#beginLoad(lease, leased, callbacks)
        this.#tellLosses(lease, leased, awaited)
        if (landed.size > 0) await callbacks.landed(landed)
        if (waiting.size === 0) return
        for (const subject of waiting) awaited.add(subject)
        const leftMs = deadlineMs - this.#clock.nowMs()
        if (leftMs <= 0) break
        const [last = ''] = waiting
        if (landing) {
          await within(Math.min(nextRecheckMs(leaseLeftMs), leftMs), landing.promise)
          landing = Promise.withResolvers()
        } else if (waiting.size > 1) await sleep(Math.min(between(pollMs.min, pollMs.max), leftMs))
        // Looks again at once: it may have landed before anything was heard.
        else {
          landing = Promise.withResolvers()
          stopListening = await session.onLanding(last, () => landing?.resolve())
        }
      }
    } finally {
      stopListening?.()
    }
    const what = waiting.size === 1 ? `load of ${[...waiting].join()}` : `loads of ${waiting.size} items`
    throw new ProxyError('upstream_timeout', { detail: `waited for another replica's ${what}` })
  }

  /** Resolves when all that this process loads now is shared. */
  async drained(): Promise<void> {
    await Promise.all(this.#leading)
  }

  /** @param awaited those that another replica was seen to load: whatever lands of them is what we waited for */
  async #claim(session: LeaseSession, subjects: readonly string[], awaited: ReadonlySet<string>): Promise<Claimed<T>> {
    const { claims, lease } = await session.claim(subjects, { awaited })
    if (claims.every(isUncontested)) return { lease, leased: subjects, landed: none }
    const claimed = { lease, leased: [] as string[], landed: new Map<string, FlightResult<T>>() }
    const [useless, needless]: [string[], string[]] = [[], []]
    for (const [at, claim] of claims.entries()) {
      const subject = subjects[at] as string
      const outcome = this.#usable(claim, awaited.has(subject))
      if (outcome !== undefined) claimed.landed.set(subject, { outcome, led: false })
      if (claim.kind === 'leased') (outcome === undefined ? claimed.leased : needless).push(subject)
      else if (claim.kind === 'landed' && outcome === undefined) useless.push(subject)
    }
    if (needless.length > 0) await lease?.release(needless)
    const leaseLeftMs = claims[0]?.kind === 'held' ? claims[0].leaseLeftMs : undefined
    return useless.length > 0 ? this.#claimAnew(session, useless, claimed) : { ...claimed, leaseLeftMs }
  }

  /** The outcome that answers the caller. While a lease is in force, an outcome is an earlier flight's. */
  #usable(claim: Claim, isAwaited: boolean): T | undefined {
    const outcome = claim.outcome && this.#codec.decode(claim.outcome)
    if (outcome === undefined) return undefined
    const isOurs = isAwaited && claim.kind !== 'held'
    return isOurs || this.#codec.servesLatecomers(outcome) ? outcome : undefined
  }

  /** What has landed is of no use to the caller: it is leased all the same. */
  async #claimAnew(session: LeaseSession, useless: readonly string[], claimed: Claimed<T>): Promise<Claimed<T>> {
    try {
      const { claims, lease } = await session.claim(useless, { evenIfLanded: { lease: claimed.lease } })
      const leased = useless.filter((_, at) => claims[at]?.kind === 'leased')
      if (lease !== undefined && lease !== claimed.lease) void claimed.lease?.release(claimed.leased)
      return { ...claimed, lease: lease ?? claimed.lease, leased: [...claimed.leased, ...leased] }
    } catch (error) {
      void claimed.lease?.release(claimed.leased)
      throw error
    }
  }

  #beginLoad(lease: Lease, subjects: readonly string[], callbacks: LoadCallbacks<T>): void {
    const leading = this.#lead(lease, subjects, callbacks).finally(() => this.#leading.delete(leading))
    this.#leading.add(leading)
  }

  #tellLosses(lease: Lease | undefined, leased: readonly string[], awaited: ReadonlySet<string>): void {
    const away = leased.filter((subject) => lease?.guards(subject) === false)
    this.#tellLoss(away.length, 'away')
    if (away.length === 0) this.#tellLoss(leased.filter((subject) => awaited.has(subject)).length, 'taken_over')
  }

  #tellLoss(count: number, how: LeaseLoss): void {
    if (count > 0) this.emit('unguarded', count, how)
  }

  /** Never throws: what breaks is told to the caller. */
  async #lead(lease: Lease, subjects: readonly string[], callbacks: LoadCallbacks<T>): Promise<void> {
    const unsettled = new Set(subjects)
    const keep = (): void => void withoutBudget(() => lease.extend([...unsettled]))
    const keeper = setInterval(keep, this.#leases.lifeMs / 3)
    const settle: Settle<T> = async (outcomes) => {
      // What the caller stores is sent before the lease is given up: a replica that finds no lease finds the answer.
      if (this.#isForAll(lease, outcomes)) {
        await Promise.all([callbacks.landed(ledResults(outcomes)), this.#publish(lease, outcomes)])
      } else await callbacks.landed(ledResults(outcomes, await this.#publish(lease, outcomes)))
      for (const subject of outcomes.keys()) unsettled.delete(subject)
    }
    try {
      await loadAll(subjects, callbacks, settle, unsettled)
    } finally {
      clearInterval(keeper)
      if (unsettled.size > 0) void lease.release([...unsettled])
    }
  }

  /** Whether the caller need not wait until they are published: the lease is surely ours, and they answer who comes next. */
  #isForAll(lease: Lease, outcomes: ReadonlyMap<string, T>): boolean {
    const codec = this.#codec
    if (!lease.isSure()) return false
    for (const outcome of outcomes.values()) {
      if (!codec.concernsOthers(outcome) || !codec.servesLatecomers(outcome)) return false
    }
    return true
  }

  /** @returns the subjects whose lease had been lost */
  async #publish(lease: Lease, outcomes: ReadonlyMap<string, T>): Promise<ReadonlySet<string>> {
    const codec = this.#codec
    const toPublish: LandedOutcome[] = []
    const own: string[] = []
    // `forEach` makes no pair of each.
    outcomes.forEach((outcome, subject) => {
      if (codec.concernsOthers(outcome)) {
        toPublish.push({ subject, bytes: codec.encode(outcome), keepMs: codec.keepMs(outcome) })
      } else own.push(subject)
    })
    if (own.length > 0) await lease.release(own)
    const published = await lease.publish(toPublish)
    const unpublished = toPublish.filter(({ subject }) => published?.has(subject) !== true)
    this.#tellLoss(unpublished.filter(({ subject }) => lease.guards(subject)).length, 'lost')
    return published ? new Set(unpublished.map(({ subject }) => subject)) : new Set()
  }
}

const none: ReadonlyMap<string, never> = new Map<string, never>()

/** Whether the subject is the caller's to load, and nothing of it has landed. */
const isUncontested = (claim: Claim): boolean => claim.kind === 'leased' && claim.outcome === undefined

interface Claimed<T> {
  readonly lease: Lease | undefined
  readonly leased: readonly string[]
  readonly landed: ReadonlyMap<string, FlightResult<T>>
  /** Where one subject is waited for: life left of its lease. */
  readonly leaseLeftMs?: number | undefined
}

/** Without what is not wanted any more: its leases are given back, and it is not waited for. */
async function onlyWanted<T>(
  { lease, leased, landed, leaseLeftMs }: Claimed<T>,
  stillWanted: StillWanted,
  waiting: Set<string>,
): Promise<Claimed<T>> {
  let wanted: ReadonlySet<string> = new Set()
  try {
    wanted = await stillWanted()
  } finally {
    const needless = leased.filter((subject) => !wanted.has(subject))
    if (needless.length > 0) await lease?.release(needless)
  }
  for (const subject of waiting) if (!wanted.has(subject)) waiting.delete(subject)
  const isWanted = (subject: string): boolean => wanted.has(subject)
  if (landed.size === 0 && leased.every(isWanted)) return { lease, leased, landed, leaseLeftMs }
  const wantedLanded = new Map([...landed].filter(([subject]) => isWanted(subject)))
  return { lease, leased: leased.filter(isWanted), landed: wantedLanded, leaseLeftMs }
}

/** Sooner if the lease ends before; at once, more or less, when there is none. */
function nextRecheckMs(leaseLeftMs: number | undefined): number {
  if (leaseLeftMs === undefined) return between(0, recheckMs.min)
  return Math.min(between(recheckMs.min, recheckMs.max), leaseLeftMs + 5)
}
