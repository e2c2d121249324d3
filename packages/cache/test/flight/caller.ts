import type { FlightResult, LoadCallbacks, Settle } from '../../src/flight/load.ts'

/** A caller that wants many outcomes: says what it was told to load, and loads when the test lets it. */
export class Caller implements LoadCallbacks<string> {
  readonly loaded: string[] = []
  readonly results = new Map<string, FlightResult<string>>()
  readonly failures: [subjects: readonly string[], error: unknown][] = []
  readonly began = Promise.withResolvers<void>()
  readonly #bring: (subjects: readonly string[], settle: Settle<string>) => Promise<void>
  #changed = Promise.withResolvers<void>()

  constructor(bring: (subjects: readonly string[], settle: Settle<string>) => Promise<void> = at('once')) {
    this.#bring = bring
  }

  async load(subjects: readonly string[], settle: Settle<string>): Promise<void> {
    this.loaded.push(...subjects)
    this.began.resolve()
    await this.#bring(subjects, settle)
  }

  async landed(results: ReadonlyMap<string, FlightResult<string>>): Promise<void> {
    for (const [subject, one] of results) this.results.set(subject, one)
    this.#change()
  }

  failed(subjects: readonly string[], error: unknown): void {
    this.failures.push([subjects, error])
    this.#change()
  }

  /** Resolves when so many have landed or failed. */
  async ended(count: number): Promise<this> {
    while (this.results.size + this.failures.length < count) await this.#changed.promise
    return this
  }

  #change(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}

/** Loads that settle all at once when `when` resolves, `outcome` of each being its own name unless told. */
export function at(when: 'once' | Promise<unknown>, outcomeOf = (subject: string): string => `<${subject}>`) {
  return async (subjects: readonly string[], settle: Settle<string>): Promise<void> => {
    await when
    await settle(new Map(subjects.map((subject) => [subject, outcomeOf(subject)])))
  }
}
