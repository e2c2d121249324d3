import type { Entry } from './entry.ts'

/** The tier that replicas share. It may be away at any time. */
export interface AnswerStore {
  /** @throws RedisUnavailable */
  get(question: string): Promise<Entry | undefined>
  /** @throws RedisUnavailable */
  set(question: string, entry: Entry): Promise<void>
}

/** The same tier, asked about many questions in one step. */
export interface BatchStore {
  /** What is there, by question. @throws RedisUnavailable */
  getMany(questions: readonly string[]): Promise<ReadonlyMap<string, Entry>>
  /** @throws RedisUnavailable; some may have been stored all the same */
  setMany(entries: ReadonlyMap<string, Entry>): Promise<void>
}

/** A replica on its own has no shared tier: nothing is ever found there. */
export const noStore: AnswerStore & BatchStore = {
  get: async () => undefined,
  set: async () => {},
  getMany: async () => new Map(),
  setMany: async () => {},
}
