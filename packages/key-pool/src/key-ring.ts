import type { ApiKey } from './api-key.ts'
import { type AskedProduct, coreProduct, itemsOf, neededProducts } from './asked-product.ts'
import type { TakeOptions } from './key-store.ts'
import type { Demand } from './ticket.ts'

/** The keys as they are configured now: never changed, only replaced by another. */
export class KeyRing {
  readonly keys: readonly ApiKey[]
  readonly ids: readonly string[]
  /** Those that go on beyond what their plan pays for. */
  readonly payers: ReadonlySet<string>
  readonly maxPerDay: ReadonlyMap<string, number>
  readonly #weights: ReadonlyMap<string, number>
  readonly #byId: ReadonlyMap<string, ApiKey>
  /** Of products of which declarations say nothing. */
  readonly #undeclared: DeclaredKeys
  /** Of products that were asked for, by what keys are declared for. */
  readonly #byItems = new Map<string, DeclaredKeys>()

  /** The same secret twice is one key: the last of them. */
  constructor(keys: readonly ApiKey[]) {
    this.#byId = new Map(keys.map((key) => [key.id, key]))
    this.keys = [...this.#byId.values()]
    this.ids = [...this.#byId.keys()]
    this.#undeclared = { mayAsk: this.ids, declared: new Set() }
    this.payers = new Set(idsOf(this.keys.filter(({ overage }) => overage === 'pay')))
    this.maxPerDay = new Map(
      this.keys.flatMap(({ id, maxPerDay }) => (maxPerDay === undefined ? [] : [[id, maxPerDay]])),
    )
    this.#weights = new Map(this.keys.map(({ id, weight = 1 }) => [id, weight]))
  }

  get(id: string): ApiKey | undefined {
    return this.#byId.get(id)
  }

  peersOf({ id, group }: ApiKey): string[] {
    return group === undefined
      ? []
      : this.keys.filter((key) => key.group === group && key.id !== id).map((key) => key.id)
  }

  /** Those that may ask the product, or of which nothing is declared. */
  idsFor(product: AskedProduct): readonly string[] {
    return this.#keysFor(product).mayAsk
  }

  optionsFor({ product = coreProduct, ...cost }: Demand): TakeOptions {
    return {
      ...cost,
      weights: this.#weights,
      payers: this.payers,
      maxPerDay: this.maxPerDay,
      declared: this.#keysFor(product).declared,
      products: neededProducts(product),
      learns: product.kind === 'module' && product.batchOf === undefined,
    }
  }

  /** Products are of a closed set. */
  #keysFor(product: AskedProduct): DeclaredKeys {
    if (product.kind !== 'plan' && product.kind !== 'module') return this.#undeclared
    const items = itemsOf(product)
    const known = this.#byItems.get(items)
    if (known) return known
    const found = {
      mayAsk: idsOf(this.keys.filter(({ products }) => products?.includes(items) !== false)),
      declared: new Set(idsOf(this.keys.filter(({ products }) => products?.includes(items)))),
    }
    this.#byItems.set(items, found)
    return found
  }
}

interface DeclaredKeys {
  /** Those that are declared for it, or for nothing. */
  readonly mayAsk: readonly string[]
  readonly declared: ReadonlySet<string>
}

const idsOf = (keys: readonly ApiKey[]): string[] => keys.map(({ id }) => id)
