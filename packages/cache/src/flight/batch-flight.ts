import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { Claims, LandedOutcome } from './claims.ts'
import type { Flown, OutcomeCodec } from './fleet-flight.ts'
import { between } from '@ipfleet/core/jitter.ts'

/** Takes what a load has brought so far, one outcome for each subject. Resolves when it is shared and kept. */
export type Settle<T> = (outcomes: ReadonlyMap<string, T>) => Promise<void>

/** Whoever wants the outcomes of many subjects. */
export interface BatchCrew<T> {
  /** Loads those subjects that are this crew's to load, and settles every one of them, in as many steps as it likes. */
  load(subjects: readonly string[], settle: Settle<T>): Promise<void>
  /** These have an outcome, loaded here or elsewhere. Called once for each subject that is not failed. */
  landed(flown: ReadonlyMap<string, Flown<T>>): Promise<void>
  /** Loading these broke; those among them that have landed already are not concerned. */
  failed(subjects: readonly string[], error: unknown): void
}

/** Flights of many subjects at once. */
export interface BatchFleetLoad<T> {
  /**
   * Resolves when each subject has landed or is being loaded by the crew; see `BatchFlight.run` for what it throws.
   * @param deadlineMs monotonic, for what others load
   */
  run(subjects: readonly string[], crew: BatchCrew<T>, deadlineMs: number): Promise<void>
}

/** Short: nobody is woken, and a batch is as slow as its last item. Two waiting batches must not ask in step. */
const reclaimMs = { least: 50, most: 100 }

/**
 * As `FleetFlight`, for many subjects at once: what nobody is loading is leased and loaded by the caller, what others
 * load is waited for, and what they leave behind (a holder died, its lease ran out) is taken over. Nobody waits for
 * another before its own load has begun, so that two batches that overlap cannot block each other.
 */
export class BatchFlight<T> implements BatchFleetLoad<T> {
  readonly #claims: Claims
  readonly #codec: OutcomeCodec<T>
  readonly #clock: Clock

  constructor(claims: Claims, codec: OutcomeCodec<T>, clock: Clock = monotonicClock) {
    this.#claims = claims
    this.#codec = codec
    this.#clock = clock
  }

  /**
   * @throws RedisUnavailable when the fleet cannot be asked about what has not landed and is not being loaded here.
   * @throws ProxyError `upstream_timeout` when the deadline passes while others load.
   */
  async run(subjects: readonly string[], crew: BatchCrew<T>, deadlineMs: number): Promise<void> {
    // As long and as random as redlock's own.
    const token = randomBytes(16).toString('hex')
    const waiting = new Set(subjects)
    const awaited = new Set<string>()
    for (;;) {
      const { leased, landed } = await this.#claim([...waiting], awaited, token)
      for (const subject of [...leased, ...landed.keys()]) waiting.delete(subject)
      if (leased.length > 0) void this.#lead(leased, token, crew)
      if (landed.size > 0) await crew.landed(landed)
      if (waiting.size === 0) return
      for (const subject of waiting) awaited.add(subject)
      const leftMs = deadlineMs - this.#clock.nowMs()
      if (leftMs <= 0) break
      await sleep(Math.min(between(reclaimMs.least, reclaimMs.most), leftMs))
    }
    throw new ProxyError('upstream_timeout', { detail: `waited for other replicas' loads of ${waiting.size} items` })
  }

  /** @param awaited those that somebody else was seen to load: whatever lands of them is what we waited for */
  async #claim(
    subjects: readonly string[],
    awaited: ReadonlySet<string>,
    token: string,
  ): Promise<{ leased: string[]; landed: Map<string, Flown<T>> }> {
    const startedMs = this.#clock.nowMs()
    const leased: string[] = []
    const landed = new Map<string, Flown<T>>()
    const useless: string[] = []
    try {
      for (const [at, claim] of (await this.#claims.claim(subjects, token, false)).entries()) {
        const subject = subjects[at] as string
        if (claim.kind === 'leased') {
          leased.push(subject)
          continue
        }
        const outcome = claim.outcome && this.#codec.decode(claim.outcome)
        // While a lease is in force the outcome is an earlier flight's, as it is to whoever did not wait for it.
        const isOurs = claim.kind === 'landed' && awaited.has(subject)
        if (outcome !== undefined && (isOurs || this.#codec.servesLatecomers(outcome))) {
          landed.set(subject, { outcome, led: false, published: true })
        } else if (claim.kind === 'landed') useless.push(subject)
      }
      if (useless.length > 0) leased.push(...(await this.#lease(useless, token)))
    } catch (error) {
      // Leases that were granted after all would make everyone wait for nobody.
      void this.#claims.release(subjects, token)
      throw error
    }
    if (this.#clock.nowMs() - startedMs < this.#claims.lifeMs / 2) return { leased, landed }
    // This process was stalled: what is left of the leases is too short to rely on.
    await this.#claims.release(leased, token)
    return { leased: [], landed }
  }

  async #lease(subjects: readonly string[], token: string): Promise<string[]> {
    const claims = await this.#claims.claim(subjects, token, true)
    return subjects.filter((_, at) => claims[at]?.kind === 'leased')
  }

  /** Never throws: what breaks is the crew's to know. */
  async #lead(subjects: readonly string[], token: string, crew: BatchCrew<T>): Promise<void> {
    const unsettled = new Set(subjects)
    const keeper = setInterval(() => void this.#claims.extend([...unsettled], token), this.#claims.lifeMs / 3)
    const settle: Settle<T> = async (outcomes) => {
      const published = await this.#publish(outcomes, token)
      const flown = new Map<string, Flown<T>>()
      // `forEach` makes no pair of each.
      outcomes.forEach((outcome, subject) => {
        unsettled.delete(subject)
        flown.set(subject, { outcome, led: true, published: published.has(subject) })
      })
      await crew.landed(flown)
    }
    try {
      await loadAll(subjects, crew, settle, unsettled)
    } finally {
      clearInterval(keeper)
      if (unsettled.size > 0) void this.#claims.release([...unsettled], token)
    }
  }

  async #publish(outcomes: ReadonlyMap<string, T>, token: string): Promise<ReadonlySet<string>> {
    try {
      const codec = this.#codec
      const landed: LandedOutcome[] = []
      const own: string[] = []
      outcomes.forEach((outcome, subject) => {
        if (codec.concernsOthers(outcome)) {
          landed.push({ subject, bytes: codec.encode(outcome), keepMs: codec.keepMs(outcome) })
        } else own.push(subject)
      })
      // Whoever waits for what concerns nobody else loads for themselves.
      if (own.length > 0) await this.#claims.release(own, token)
      return await this.#claims.publish(landed, token)
    } catch {
      // Redis went away meanwhile, or is full. Our own callers have their answers; those elsewhere need not wait for
      // the leases to run out.
      void this.#claims.release([...outcomes.keys()], token)
      return new Set()
    }
  }
}

/** The crew's load of all, for a process on its own or one that cannot ask the fleet. Never throws. */
export async function loadAlone<T>(subjects: readonly string[], crew: BatchCrew<T>): Promise<void> {
  const unsettled = new Set(subjects)
  const settle: Settle<T> = async (outcomes) => {
    for (const subject of outcomes.keys()) unsettled.delete(subject)
    await crew.landed(
      new Map([...outcomes].map(([subject, outcome]) => [subject, { outcome, led: true, published: true }])),
    )
  }
  await loadAll(subjects, crew, settle, unsettled)
}

async function loadAll<T>(
  subjects: readonly string[],
  crew: BatchCrew<T>,
  settle: Settle<T>,
  unsettled: ReadonlySet<string>,
): Promise<void> {
  try {
    await crew.load(subjects, settle)
    if (unsettled.size > 0) throw new Error(`a batch's load left ${unsettled.size} of ${subjects.length} unsettled`)
  } catch (error) {
    crew.failed(subjects, error)
  }
}
