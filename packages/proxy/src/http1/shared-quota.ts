import { Counts } from '@ipfleet/core/counts.ts'
import type { QuotaRefusal } from '@ipfleet/http-server/connection-limits.ts'

export interface SharedQuotaLimits {
  readonly max: number
  /** Most that one client may hold, in percent of what the others leave free; 100: all of it. */
  readonly clientSharePercent: number
}

export type { QuotaRefusal }

/**
 * Slots (or bytes) of which there is a fixed number. A client holds at most its share of those that the others leave
 * free, so that no client takes the last one: with 50 % the first may have half of all, the next half of the rest. A
 * holder without a name is bound by the whole number only.
 */
export class SharedQuota {
  #limits: SharedQuotaLimits
  #taken = 0
  readonly #byClient = new Counts()

  /** Without limits there is none to take, until `configure`. */
  constructor(limits: SharedQuotaLimits = { max: 0, clientSharePercent: 100 }) {
    this.#limits = limits
  }

  get taken(): number {
    return this.#taken
  }

  get free(): number {
    return Math.max(0, this.#limits.max - this.#taken)
  }

  /** What is taken stays so. */
  configure(limits: SharedQuotaLimits): void {
    this.#limits = limits
  }

  /** Why this client may not take so many more; undefined: it may. */
  refusal(client: string | undefined, count = 1): QuotaRefusal | undefined {
    const { max, clientSharePercent } = this.#limits
    if (this.#taken + count > max) return 'all'
    if (client === undefined || clientSharePercent >= 100) return undefined
    const own = this.#byClient.of(client)
    // A single slot is not divided: with few of them a client may always have one.
    const share = Math.max(1, Math.floor(((max - this.#taken + own) * clientSharePercent) / 100))
    return own + count > share ? 'client' : undefined
  }

  /** Takes them, or says why not. */
  take(client: string | undefined, count = 1): QuotaRefusal | undefined {
    const refusal = this.refusal(client, count)
    if (refusal !== undefined) return refusal
    this.#taken += count
    if (client !== undefined) this.#byClient.add(client, count)
    return undefined
  }

  release(client: string | undefined, count = 1): void {
    this.#taken -= count
    if (client !== undefined) this.#byClient.add(client, -count)
  }
}
