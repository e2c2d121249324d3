import type { KeyState } from './key-store.ts'

/** What a request is of, as far as keys differ in it. */
export interface AskedProduct {
  readonly name: string
  /** `module`: some plans lack it; `plan`: every plan has it. Of others a declaration says nothing. */
  readonly kind: 'plan' | 'free' | 'module' | 'tool' | 'other'
  /** The items' product, of a batch. */
  readonly batchOf?: string
}

/** What every key may ask. */
export const coreProduct: AskedProduct = { name: 'core', kind: 'plan' }

/** The products that a key must be allowed to ask, the one to learn first. */
export function neededProducts({ name, batchOf }: AskedProduct): readonly string[] {
  return batchOf === undefined ? [name] : [batchOf, name]
}

/** What look-ups are of: a key that rests for one of these does not do what it is for. */
const mainProducts: ReadonlySet<string> = new Set(['core', 'lookup', 'plus', 'max'])

/** A key that is over its limit for look-ups is cooling; one that only lacks a module, or a tool's use, is not. */
export function withMainProducts(state: KeyState): KeyState {
  if (state.state === 'cooling') return state
  const resting = (state.products ?? []).filter(
    ({ product, reason }) => mainProducts.has(product) && reason !== 'denied',
  )
  const [last] = resting.toSorted((a, b) => b.remainingMs - a.remainingMs)
  if (last === undefined) return state
  return { ...state, state: 'cooling', reason: last.reason, remainingMs: last.remainingMs }
}
