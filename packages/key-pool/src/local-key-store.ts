import type { Clock } from '@ipfleet/core/clock.ts'
import { takeTurn } from '@ipfleet/core/weighted-turns.ts'
import { KeyScope } from './key-scope.ts'
import type {
  Bench,
  KeyLimits,
  KeyReturn,
  KeyState,
  KeyStore,
  Lesson,
  ProductState,
  Taken,
  TakeOptions,
} from './key-store.ts'
import { scopeOf } from './key-store.ts'
import { LocalQuotas } from './local-quotas.ts'
import { type KeyQuota, type QuotaReport, shortForMs, weightsOf } from './quota.ts'

/** A key, as far as one request is concerned. */
interface Candidate {
  readonly id: string
  readonly whole: KeyScope
  readonly ofProducts: readonly KeyScope[]
  /** How long it may not be used; 0 or less: it may. */
  readonly waitMs: number
  /** How long another request may still be trying it. */
  readonly triedForMs: number
  /** What its plan pays for is used up. */
  readonly overage: boolean
  /** The status with which the key was refused one of the products; 0 when it is refused as a whole. */
  readonly deniedStatus: number | undefined
}

/** Key state of one process: all there is without Redis, and the memory of benches while Redis is away. */
export class LocalKeyStore implements KeyStore {
  readonly #clock: Clock
  readonly #trialMs: number
  readonly #scopes = new Map<string, KeyScope>()
  readonly #quotas: LocalQuotas

  /** `trialMs`: how long a trial may take before the next request may try the key. */
  constructor(clock: Clock, { trialMs }: { trialMs: number }) {
    this.#clock = clock
    this.#trialMs = trialMs
    this.#quotas = new LocalQuotas(clock)
  }

  async take(ids: readonly string[], options: TakeOptions = {}): Promise<Taken> {
    const { units = 1, weights, learns = false, prefersRich = false } = options
    const all = ids.map((id) => this.#candidate(id, options))
    const available = preferred(all, options)
    const quotas = available.map(({ id }) => (units === 0 ? { id, taken: 0 } : this.#quotas.of(id)))
    const weightsByTurn = weightsOf(quotas, (one) => weights?.get(one) ?? 1)
    for (const [index, { whole }] of available.entries()) whole.effectiveWeight = weightsByTurn[index] ?? 1
    const turn = takeTurn(available.map(({ whole }) => whole))
    const chosen = available.find(({ whole }) => whole === turn)
    if (chosen === undefined) {
      const trialUnderWay = all.some(({ triedForMs }) => triedForMs > 0)
      return { kind: 'none', trialUnderWay, ...returnOf(all, (one) => Math.max(one.waitMs, one.triedForMs)) }
    }
    const { id, whole, ofProducts, overage } = chosen
    const scopes = [whole, ...ofProducts]
    for (const { name } of scopes) this.#quotas.spend(name, units)
    this.#quotas.count(id, units, overage)
    const trials = scopes.filter((scope) => scope.beginTrial(this.#trialMs))
    const [ofProduct] = ofProducts
    const learning = learns && ofProduct !== undefined && ofProduct.learnt === undefined
    if (learning) ofProduct.beginLearning(this.#trialMs)
    const richness = ofProduct?.learnt?.richness
    const richest = prefersRich ? richestOf(available) : 0
    const mixed = prefersRich && new Set(all.flatMap((one) => one.ofProducts[0]?.learnt?.richness ?? [])).size > 1
    return {
      kind: 'key',
      id,
      trial: trials.length > 0,
      ...(learning && { learning }),
      ...(richness !== undefined && { richness }),
      ...(richest > 0 && { richest }),
      ...(mixed && { mixed }),
      ...(overage && { overage }),
    }
  }

  async giveBack(id: string, units: number, products: readonly string[] = []): Promise<void> {
    for (const product of [undefined, ...products]) this.#quotas.giveBack(scopeOf(id, product), units)
  }

  async returnOf(ids: readonly string[], options: TakeOptions = {}): Promise<KeyReturn> {
    return returnOf(
      ids.map((id) => this.#candidate(id, options)),
      ({ waitMs }) => waitMs,
    )
  }

  async bench({ peers = [], ...bench }: Bench): Promise<number> {
    for (const id of [...peers, bench.id]) {
      const whole = this.#scope(id)
      this.#scope(id, bench.product).bench(bench, whole.strikes)
      whole.dropTrial()
    }
    return this.#scope(bench.id, bench.product).benchMs
  }

  async endTrial(id: string, result: 'recovered' | 'unknown', products: readonly string[] = []): Promise<void> {
    for (const product of [undefined, ...products]) this.#scope(id, product).endTrial(result)
  }

  async learn(lesson: Lesson): Promise<void> {
    this.#scope(lesson.id, lesson.product).learn(lesson)
  }

  async release(id: string): Promise<void> {
    for (const scope of this.#scopes.values()) if (scope.id === id) scope.release()
    this.#quotas.forget(id)
  }

  async read(ids: readonly string[], limits: KeyLimits = {}): Promise<KeyState[]> {
    return ids.map((id) => this.#state(id, limits))
  }

  async reportQuota(report: QuotaReport): Promise<void> {
    if (report.product !== undefined) this.#scope(report.id, report.product)
    this.#quotas.report(report)
  }

  async quotas(ids: readonly string[]): Promise<KeyQuota[]> {
    return ids.map((id) => this.#quotas.of(id))
  }

  /** Benches that still run, for handing them on. */
  running(): Bench[] {
    return [...this.#scopes.values()].flatMap(({ running }) => running ?? [])
  }

  #scope(id: string, product?: string): KeyScope {
    const name = scopeOf(id, product)
    return this.#scopes.getOrInsertComputed(name, () => new KeyScope(this.#clock, id, product))
  }

  #state(id: string, { payers, maxPerDay }: KeyLimits): KeyState {
    const resting = [...this.#scopes.values()].flatMap((scope) => (scope.id === id ? this.#resting(scope) : []))
    const products = resting.length > 0 && { products: resting.toSorted((a, b) => (a.product < b.product ? -1 : 1)) }
    const { reason, benchMs } = this.#scope(id)
    if (reason !== undefined && benchMs > 0) return { id, state: 'cooling', reason, remainingMs: benchMs, ...products }
    const shortMs = payers?.has(id) ? 0 : shortForMs(this.#quotas.of(id), 1, 0)
    const emptyMs = Math.max(shortMs, this.#quotas.dayOverForMs(id, 1, maxPerDay?.get(id)))
    if (emptyMs > 0) return { id, state: 'cooling', reason: 'exhausted', remainingMs: emptyMs, ...products }
    return reason === undefined ? { id, state: 'active', ...products } : { id, state: 'trial', reason, ...products }
  }

  /** What keeps a key from one product, for longest. */
  #resting({ name, product, reason, benchMs }: KeyScope): ProductState[] {
    if (product === undefined) return []
    const emptyMs = shortForMs(this.#quotas.of(name), 1, 0)
    if (reason !== undefined && benchMs >= emptyMs && benchMs > 0) return [{ product, reason, remainingMs: benchMs }]
    return emptyMs > 0 ? [{ product, reason: 'exhausted', remainingMs: emptyMs }] : []
  }

  /** The same rules as in take-key.lua, where their reasons are. */
  #candidate(id: string, options: TakeOptions): Candidate {
    const { units = 1, reserveShare = 0, payers, maxPerDay, products = [], learns = false } = options
    const whole = this.#scope(id)
    const ofProducts = products.map((product) => this.#scope(id, product))
    const scopes = [whole, ...ofProducts]
    const isFree = units === 0 && whole.reason === 'exhausted'
    const benched = isFree ? ofProducts : scopes
    const [shortMs = 0, ...shortMsOfProducts] = scopes.map(({ name }) =>
      shortForMs(this.#quotas.of(name), units, reserveShare),
    )
    const overage = shortMs > 0 && payers?.has(id) === true && reserveShare === 0
    const dayMs = this.#quotas.dayOverForMs(id, units, maxPerDay?.get(id))
    const [denial] = ofProducts.flatMap(({ deniedStatus }) => deniedStatus ?? [])
    return {
      id,
      whole,
      ofProducts,
      waitMs: Math.max(0, ...benched.map(({ benchMs }) => benchMs), overage ? 0 : shortMs, ...shortMsOfProducts, dayMs),
      triedForMs: Math.max(...scopes.map(({ trialMs }) => trialMs), learns ? (ofProducts[0]?.learningMs ?? 0) : 0),
      overage,
      deniedStatus: denial ?? (whole.deniedStatus === undefined ? undefined : 0),
    }
  }
}

/**
 * Of those that are free: paid units first; then declared keys; then, where some may not ask, those known to; then the
 * richest.
 */
function preferred(all: readonly Candidate[], { declared, learns, prefersRich }: TakeOptions): readonly Candidate[] {
  let left = all.filter(({ waitMs, triedForMs }) => waitMs <= 0 && triedForMs <= 0)
  left = narrowed(left, ({ overage }) => !overage)
  left = narrowed(left, ({ id }) => declared?.has(id) === true)
  if (learns && all.some(({ ofProducts: [first] }) => first?.deniedStatus !== undefined)) {
    left = narrowed(left, ({ ofProducts: [first] }) => first?.learnt !== undefined)
  }
  if (!prefersRich) return left
  const richest = richestOf(left)
  return left.filter(({ ofProducts: [first] }) => (first?.learnt?.richness ?? richest) >= richest)
}

/** Those that fit, unless none does. */
function narrowed(all: Candidate[], fits: (one: Candidate) => boolean): Candidate[] {
  const some = all.filter(fits)
  return some.length > 0 ? some : all
}

function richestOf(candidates: readonly Candidate[]): number {
  return Math.max(0, ...candidates.map(({ ofProducts: [first] }) => first?.learnt?.richness ?? 0))
}

function returnOf(all: readonly Candidate[], waitMsOf: (one: Candidate) => number): KeyReturn {
  const statuses = all.flatMap(({ deniedStatus }) => deniedStatus ?? [])
  const status = statuses.length === all.length ? Math.max(0, ...statuses) : 0
  const retryAfterMs = all.length === 0 ? 0 : Math.min(...all.map(waitMsOf))
  return { retryAfterMs, ...(status > 0 && { deniedStatus: status }) }
}
