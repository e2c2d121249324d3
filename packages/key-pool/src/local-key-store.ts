import type { Clock } from '@ipfleet/core/clock.ts'
import {
  type Bench,
  type BenchReason,
  type KeyState,
  type KeyStore,
  type Lesson,
  maxStrikes,
  type ProductState,
  scopeOf,
  type TakeOptions,
  type Taken,
} from './key-store.ts'
import { KeyTurns } from './key-turns.ts'
import { LocalLessons } from './local-lessons.ts'
import { LocalQuotas } from './local-quotas.ts'
import { type KeyQuota, type QuotaReport, shortForMs, weightsOf } from './quota.ts'
import { exponentialMs } from '@ipfleet/core/backoff.ts'

interface Benched {
  readonly id: string
  readonly product: string | undefined
  readonly reason: BenchReason
  readonly strikes: number
  readonly untilMs: number
  readonly status: number | undefined
  trialUntilMs: number
}

/** A key that may be used now. */
interface Candidate {
  readonly id: string
  readonly scopes: readonly string[]
  readonly overage: boolean
}

/** Key state of one process: all there is without Redis, and the memory of benches while Redis is away. */
export class LocalKeyStore implements KeyStore {
  readonly #clock: Clock
  readonly #trialMs: number
  /** What was benched and has not succeeded since, by scope: a key, or a key for one product. */
  readonly #benched = new Map<string, Benched>()
  readonly #quotas: LocalQuotas
  readonly #lessons: LocalLessons
  readonly #turns = new KeyTurns()

  /** `trialMs`: how long a trial may take before the next request may try the key. */
  constructor(clock: Clock, { trialMs }: { trialMs: number }) {
    this.#clock = clock
    this.#trialMs = trialMs
    this.#quotas = new LocalQuotas(clock)
    this.#lessons = new LocalLessons(clock)
  }

  async take(ids: readonly string[], options: TakeOptions = {}): Promise<Taken> {
    const { units = 1, weights, products = [] } = options
    const available = this.#preferred(ids, this.#available(ids, options), options)
    const quotas = available.map(({ id }) => (units === 0 ? { id, taken: 0 } : this.#quotas.of(id)))
    const turn = this.#turns.next(
      available.map(({ id }) => id),
      weightsOf(quotas, (one) => weights?.get(one) ?? 1),
    )
    const chosen = available[turn]
    if (chosen === undefined) return this.#none(ids, options)
    const { id, scopes, overage } = chosen
    for (const scope of scopes) this.#quotas.spend(scope, units)
    this.#quotas.count(id, units, overage)
    const learning = options.learns === true && this.#lessons.begin(id, products[0], this.#trialMs)
    const richness = this.#lessons.richness(id, products[0])
    const richest = options.prefersRich === true ? this.#richest(available, products[0]) : 0
    const mixed = options.prefersRich === true && this.#isMixed(ids, products[0])
    return {
      kind: 'key',
      id,
      trial: this.#beginTrials(scopes),
      ...(learning && { learning }),
      ...(richness !== undefined && { richness }),
      ...(richest > 0 && { richest }),
      ...(mixed && { mixed }),
      ...(overage && { overage }),
    }
  }

  async bench({ peers = [], ...bench }: Bench): Promise<number> {
    for (const id of peers) this.#bench({ ...bench, id })
    return this.#bench(bench)
  }

  async endTrial(id: string, result: 'recovered' | 'unknown', products: readonly string[] = []): Promise<void> {
    for (const scope of [id, ...products.map((product) => scopeOf(id, product))]) {
      const benched = this.#benched.get(scope)
      if (benched && benched.untilMs <= this.#clock.nowMs()) {
        if (result === 'recovered') this.#benched.delete(scope)
        else benched.trialUntilMs = 0
      }
    }
    this.#lessons.end(id, products[0])
  }

  async learn(lesson: Lesson): Promise<void> {
    this.#lessons.learn(lesson)
  }

  async release(id: string): Promise<void> {
    for (const [scope, benched] of this.#benched) if (benched.id === id) this.#benched.delete(scope)
    this.#quotas.forget(id)
  }

  async read(ids: readonly string[]): Promise<KeyState[]> {
    return ids.map((id) => this.#state(id))
  }

  async reportQuota(report: QuotaReport): Promise<void> {
    this.#quotas.report(report)
  }

  async quotas(ids: readonly string[]): Promise<KeyQuota[]> {
    return ids.map((id) => this.#quotas.of(id))
  }

  /** Benches that still run, for handing them on. */
  running(): { id: string; product?: string; reason: BenchReason; remainingMs: number; status?: number }[] {
    const nowMs = this.#clock.nowMs()
    return [...this.#benched.values()]
      .map(({ id, product, reason, untilMs, status }) => ({
        id,
        ...(product !== undefined && { product }),
        reason,
        remainingMs: untilMs - nowMs,
        ...(status !== undefined && { status }),
      }))
      .filter(({ remainingMs }) => remainingMs > 0)
  }

  #bench({ id, product, reason, durationMs, doublingUpToMs, status }: Omit<Bench, 'peers'>): number {
    const nowMs = this.#clock.nowMs()
    const scope = scopeOf(id, product)
    const before = this.#benched.get(scope)
    const still = before !== undefined && before.untilMs > nowMs
    const whole = product === undefined ? undefined : this.#benched.get(id)
    // Requests that were under way together report the same limit: one strike. Those of the whole key count for each product.
    const earlier = Math.max(before?.strikes ?? 0, still ? 0 : (whole?.strikes ?? 0))
    const strikes = Math.min(earlier + (still ? 0 : 1), maxStrikes)
    const forMs = exponentialMs(strikes, { firstMs: durationMs, maxMs: doublingUpToMs ?? durationMs })
    const beforeMs = before?.untilMs ?? 0
    const untilMs = Math.max(beforeMs, nowMs + forMs)
    // The reason is that of the bench which lasts longest.
    const lasting = before && beforeMs >= nowMs + forMs ? before : { reason, status }
    this.#benched.set(scope, { id, product, ...lasting, strikes, untilMs, trialUntilMs: 0 })
    if (product !== undefined) this.#lessons.end(id, product)
    if (whole) whole.trialUntilMs = 0
    return untilMs - nowMs
  }

  #state(id: string): KeyState {
    const nowMs = this.#clock.nowMs()
    const resting = [...this.#benched.values()].flatMap((one): ProductState[] =>
      one.id === id && one.product !== undefined && one.untilMs > nowMs
        ? [{ product: one.product, reason: one.reason, remainingMs: one.untilMs - nowMs }]
        : [],
    )
    const products =
      resting.length > 0 ? { products: resting.toSorted((a, b) => (a.product < b.product ? -1 : 1)) } : {}
    const benched = this.#benched.get(id)
    const benchMs = benched === undefined ? 0 : benched.untilMs - nowMs
    if (benched && benchMs > 0)
      return { id, state: 'cooling', reason: benched.reason, remainingMs: benchMs, ...products }
    const emptyMs = shortForMs(this.#quotas.of(id), 1, 0)
    if (emptyMs > 0) return { id, state: 'cooling', reason: 'exhausted', remainingMs: emptyMs, ...products }
    return benched ? { id, state: 'trial', reason: benched.reason, ...products } : { id, state: 'active', ...products }
  }

  #available(ids: readonly string[], options: TakeOptions): Candidate[] {
    return ids.flatMap((id): Candidate[] => {
      const { waitMs, isPaidShort } = this.#waitOf(id, options)
      return waitMs <= 0 ? [{ id, scopes: scopesOf(id, options), overage: isPaidShort }] : []
    })
  }

  /** How long the key cannot be used, and whether what its plan pays for is used up. */
  #waitOf(id: string, options: TakeOptions): { waitMs: number; isPaidShort: boolean } {
    const { units = 1, reserveShare = 0, payers, maxPerDay, products = [], learns = false } = options
    const nowMs = this.#clock.nowMs()
    const benchMs = Math.max(0, ...scopesOf(id, options).map((scope) => this.#benchedForMs(scope, units, nowMs)))
    const learningMs = learns ? this.#lessons.underWayForMs(id, products[0]) : 0
    const shortMs = shortForMs(this.#quotas.of(id), units, reserveShare)
    const pays = payers?.has(id) === true && reserveShare === 0
    const productMs = products.map((product) => shortForMs(this.#quotas.of(scopeOf(id, product)), units, reserveShare))
    const dayMs = this.#quotas.dayOverForMs(id, units, maxPerDay?.get(id))
    const waitMs = Math.max(benchMs, learningMs, pays ? 0 : shortMs, dayMs, ...productMs)
    return { waitMs, isPaidShort: pays && shortMs > 0 }
  }

  #benchedForMs(scope: string, units: number, nowMs: number): number {
    const benched = this.#benched.get(scope)
    if (!benched) return 0
    // What costs nothing is asked of a key whose quota is gone, too.
    const isFree = benched.reason === 'exhausted' && benched.product === undefined && units === 0
    return Math.max(isFree ? 0 : benched.untilMs, benched.trialUntilMs) - nowMs
  }

  /** Paid units first; then keys declared for the product; then, where some may not ask it, those known to; then the richest. */
  #preferred(ids: readonly string[], available: readonly Candidate[], options: TakeOptions): readonly Candidate[] {
    const { products: [product] = [], declared, learns = false, prefersRich = false } = options
    let left = narrowed(available, ({ overage }) => !overage)
    left = narrowed(left, ({ id }) => declared?.has(id) === true)
    const nowMs = this.#clock.nowMs()
    const isDenied = (id: string): boolean => {
      const benched = this.#benched.get(scopeOf(id, product))
      return benched?.reason === 'denied' && benched.untilMs > nowMs
    }
    if (learns && product !== undefined && ids.some(isDenied)) {
      left = narrowed(left, ({ id }) => this.#lessons.knows(id, product))
    }
    if (!prefersRich) return left
    const most = this.#richest(left, product)
    return left.filter(({ id }) => (this.#lessons.richness(id, product) ?? most) >= most)
  }

  #isMixed(ids: readonly string[], product: string | undefined): boolean {
    return new Set(ids.flatMap((id) => this.#lessons.richness(id, product) ?? [])).size > 1
  }

  #richest(candidates: readonly Candidate[], product: string | undefined): number {
    return Math.max(0, ...candidates.map(({ id }) => this.#lessons.richness(id, product) ?? 0))
  }

  #beginTrials(scopes: readonly string[]): boolean {
    const nowMs = this.#clock.nowMs()
    const benched = scopes.flatMap((scope) => this.#benched.get(scope) ?? [])
    // A bench that still runs, and that this request was let by, is not on trial.
    const over = benched.filter(({ untilMs }) => untilMs <= nowMs)
    for (const one of over) one.trialUntilMs = nowMs + this.#trialMs
    return over.length > 0
  }

  #none(ids: readonly string[], options: TakeOptions): Taken {
    const nowMs = this.#clock.nowMs()
    const { products = [], learns = false } = options
    const isTried = (id: string): boolean =>
      scopesOf(id, options).some((scope) => (this.#benched.get(scope)?.trialUntilMs ?? 0) > nowMs) ||
      (learns && this.#lessons.underWayForMs(id, products[0]) > 0)
    const denials = ids.flatMap((id) => this.#denialOf(id, products, nowMs) ?? [])
    const deniedStatus = denials.length === ids.length ? Math.max(0, ...denials) : 0
    const waitsMs = ids.map((id) => this.#waitOf(id, options).waitMs)
    return {
      kind: 'none',
      retryAfterMs: ids.length === 0 ? 0 : Math.min(...waitsMs),
      trialUnderWay: ids.some(isTried),
      ...(deniedStatus > 0 && { deniedStatus }),
    }
  }

  /** The status with which the key was refused one of the products; 0 when it is refused as a whole. */
  #denialOf(id: string, products: readonly string[], nowMs: number): number | undefined {
    const isDenied = (one: Benched | undefined): boolean => one?.reason === 'denied' && one.untilMs > nowMs
    const ofProduct = products.map((product) => this.#benched.get(scopeOf(id, product))).find(isDenied)
    if (ofProduct) return ofProduct.status ?? 403
    return isDenied(this.#benched.get(id)) ? 0 : undefined
  }
}

function scopesOf(id: string, { products = [] }: TakeOptions): string[] {
  return [id, ...products.map((product) => scopeOf(id, product))]
}

/** Those that fit, unless none does. */
function narrowed<T>(all: readonly T[], fits: (one: T) => boolean): readonly T[] {
  const some = all.filter(fits)
  return some.length > 0 ? some : all
}
