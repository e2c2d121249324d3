import type { ApiKey } from './api-key.ts'
import { type AskedProduct, coreProduct, neededProducts } from './asked-product.ts'
import type { TakeOptions } from './key-store.ts'
import type { Demand } from './ticket.ts'

/** The keys as they are configured now: never changed, only replaced by another. */
export class KeyRing {
  readonly keys: readonly ApiKey[]
  readonly ids: readonly string[]
  readonly #operators: Required<Pick<TakeOptions, 'weights' | 'payers' | 'maxPerDay'>>
  readonly #byId: ReadonlyMap<string, ApiKey>

  /** The same secret twice is one key: the last of them. */
  constructor(keys: readonly ApiKey[]) {
    this.#byId = new Map(keys.map((key) => [key.id, key]))
    this.keys = [...this.#byId.values()]
    this.ids = [...this.#byId.keys()]
    this.#operators = {
      weights: new Map(this.keys.map(({ id, weight = 1 }) => [id, weight])),
      payers: new Set(this.keys.flatMap(({ id, overage }) => (overage === 'pay' ? [id] : []))),
      maxPerDay: new Map(this.keys.flatMap(({ id, maxPerDay }) => (maxPerDay === undefined ? [] : [[id, maxPerDay]]))),
    }
  }

  get(id: string): ApiKey | undefined {
    return this.#byId.get(id)
  }

  /** The other keys of its account. */
  peersOf({ id, group }: ApiKey): string[] {
    return group === undefined
      ? []
      : this.keys.filter((key) => key.group === group && key.id !== id).map((key) => key.id)
  }

  /** Those that may ask the product, or of which nothing is declared. */
  idsFor(product: AskedProduct): readonly string[] {
    if (!isDeclarable(product)) return this.ids
    return this.keys.flatMap(({ id, products }) => (products?.includes(itemsOf(product)) === false ? [] : [id]))
  }

  /** How a key is chosen for the demand. */
  optionsFor({ product = coreProduct, ...cost }: Demand): TakeOptions {
    return {
      ...cost,
      ...this.#operators,
      declared: this.#declaredFor(product),
      products: neededProducts(product),
      learns: product.kind === 'module' && product.batchOf === undefined,
    }
  }

  #declaredFor(product: AskedProduct): ReadonlySet<string> {
    if (!isDeclarable(product)) return noIds
    return new Set(this.keys.flatMap(({ id, products }) => (products?.includes(itemsOf(product)) ? [id] : [])))
  }
}

const noIds: ReadonlySet<string> = new Set()

const isDeclarable = ({ kind }: AskedProduct): boolean => kind === 'plan' || kind === 'module'
const itemsOf = ({ name, batchOf = name }: AskedProduct): string => batchOf
