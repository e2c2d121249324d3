import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import type { Entry } from './entry.ts'

/** The tier that replicas share. It may be away at any time. */
export interface AnswerStore {
  /** What is there, by query. @throws RedisUnavailable */
  getMany(queries: readonly string[]): Promise<ReadonlyMap<string, Entry>>
  /** @throws RedisUnavailable; some may have been stored all the same */
  setMany(entries: ReadonlyMap<string, Entry>): Promise<void>
}

/** A replica on its own has no shared tier: nothing is ever found there. */
export const noStore: AnswerStore = {
  getMany: async () => new Map(),
  setMany: async () => {},
}

/** While Redis is away nothing is found there, and nothing is stored. */
export function resilientStore(store: AnswerStore): AnswerStore {
  return {
    getMany: (queries) => store.getMany(queries).catch(otherwise(new Map())),
    setMany: (entries) => store.setMany(entries).catch(otherwise(undefined)),
  }
}

function otherwise<T>(fallback: T) {
  return (error: unknown): T => {
    if (error instanceof RedisUnavailable) return fallback
    throw error
  }
}
