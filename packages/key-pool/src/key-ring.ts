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
  /** Of products that were asked for, by what keys are declared for. */
  readonly #byItems = new Map<string, DeclaredKeys>()

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
    return isDeclarable(product) ? this.#keysFor(itemsOf(product)).mayAsk : this.ids
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
    return isDeclarable(product) ? this.#keysFor(itemsOf(product)).declared : noIds
  }

  /** Products are of a closed set. */
  #keysFor(items: string): DeclaredKeys {
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
const noIds: ReadonlySet<string> = new Set()

const isDeclarable = ({ kind }: AskedProduct): boolean => kind === 'plan' || kind === 'module'
const itemsOf = ({ name, batchOf = name }: AskedProduct): string => batchOf
