import type { ApiKey } from './api-key.ts'

/** The keys as they are configured now: never changed, only replaced by another. */
export class KeyRing {
  readonly keys: readonly ApiKey[]
  readonly ids: readonly string[]
  readonly weights: ReadonlyMap<string, number>
  readonly #byId: ReadonlyMap<string, ApiKey>

  /** The same secret twice is one key: the last of them. */
  constructor(keys: readonly ApiKey[]) {
    this.#byId = new Map(keys.map((key) => [key.id, key]))
    this.keys = [...this.#byId.values()]
    this.ids = [...this.#byId.keys()]
    this.weights = new Map(this.keys.map(({ id, weight = 1 }) => [id, weight]))
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
}
