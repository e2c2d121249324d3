import type { Entry } from './entry.ts'

/** The tier that replicas share. It may be away at any time. */
export interface AnswerStore {
  /** @throws RedisUnavailable */
  get(question: string): Promise<Entry | undefined>
  /** @throws RedisUnavailable */
  set(question: string, entry: Entry): Promise<void>
}

/** A replica on its own has no shared tier: nothing is ever found there. */
export const noStore: AnswerStore = {
  get: async () => undefined,
  set: async () => {},
}
