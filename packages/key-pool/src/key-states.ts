import type { KeyState, ProductState } from './key-store.ts'
import { type KeyQuota, shortForMs } from './quota.ts'

/** What look-ups are of: a key that rests for one of these does not do what it is for. */
const mainProducts: ReadonlySet<string> = new Set(['core', 'lookup', 'plus', 'max'])

/** A key that is over its limit for look-ups is cooling; one that only lacks a module, or a tool's use, is not. */
export function withMainProducts(state: KeyState): KeyState {
  if (state.state === 'cooling') return state
  const resting = (state.products ?? []).filter(
    ({ product, reason }) => mainProducts.has(product) && reason !== 'denied',
  )
  const [longest] = resting.toSorted((a, b) => b.remainingMs - a.remainingMs)
  if (longest === undefined) return state
  return { ...state, state: 'cooling', reason: longest.reason, remainingMs: longest.remainingMs }
}

export interface ReturnDemand {
  readonly units?: number
  readonly reserveShare?: number
  readonly products: readonly string[]
  /** Ids of the keys that may ask the products, as far as is declared. */
  readonly may: readonly string[]
}

/** When the first of the keys may ask again, or that none is ever to: each is known not to be allowed to. */
export function earliestReturnMs(
  states: readonly KeyState[],
  quotas: readonly KeyQuota[],
  { units = 1, reserveShare = 0, products, may }: ReturnDemand,
): { retryAfterMs: number; deniedStatus?: number } {
  const asked = states.filter(({ id }) => may.includes(id))
  const isDenied = (state: KeyState): boolean => denialIn(state, products)
  const waitsMs = asked.map((state) => {
    const quota = quotas.find((one) => one.id === state.id)
    const isFree = state.reason === 'exhausted' && units === 0
    const restMs = state.state === 'cooling' && !isFree ? (state.remainingMs ?? 0) : 0
    const productMs = restingFor(state, products).map(({ remainingMs }) => remainingMs)
    return Math.max(restMs, quota ? shortForMs(quota, units, reserveShare) : 0, ...productMs)
  })
  const retryAfterMs = waitsMs.length === 0 ? 0 : Math.min(...waitsMs)
  const areDenied = asked.every(isDenied) && asked.some((state) => restingFor(state, products).length > 0)
  return { retryAfterMs, ...(areDenied && { deniedStatus: 403 }) }
}

function restingFor({ products = [] }: KeyState, asked: readonly string[]): readonly ProductState[] {
  return products.filter(({ product }) => asked.includes(product))
}

/** For one of the products, or as a whole. */
function denialIn(state: KeyState, products: readonly string[]): boolean {
  if (state.state === 'cooling' && state.reason === 'denied') return true
  return restingFor(state, products).some(({ reason }) => reason === 'denied')
}
