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

/** The product of a full record: of a batch that of its items. */
export function itemsOf({ name, batchOf = name }: AskedProduct): string {
  return batchOf
}

/** The products that a key must be allowed to ask, the one to learn first. */
export function neededProducts({ name, batchOf }: AskedProduct): readonly string[] {
  return batchOf === undefined ? [name] : [batchOf, name]
}

/**
 * A key that is over its limit for plain look-ups is cooling; one that rests for something else is not: else one client
 * that asks for that would stop the fleet's jobs.
 */
export function withCoreProduct(state: KeyState): KeyState {
  if (state.state === 'cooling') return state
  const core = state.products?.find(({ product, reason }) => product === coreProduct.name && reason !== 'denied')
  return core ? { ...state, state: 'cooling', reason: core.reason, remainingMs: core.remainingMs } : state
}
